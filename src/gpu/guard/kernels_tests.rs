use std::mem::offset_of;

use super::super::outcome::{Outcome, Policy};
use super::super::pieces::PieceWords;
use super::*;
use crate::NonFinite;

const ALL: [Kernel; 4] =
    [Kernel::Scan(Access::Vector), Kernel::Scan(Access::Scalar), Kernel::Reduce, Kernel::Decide];

fn parse(kernel: Kernel) -> naga::Module {
    naga::front::wgsl::parse_str(&kernel.source(Precision::Native)).unwrap()
}

/// A struct of the shipped WGSL: its size and its members' names and offsets.
fn structure(kernel: Kernel, name: &str) -> (usize, Vec<(String, usize)>) {
    let module = parse(kernel);
    let (_, ty) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name)).unwrap();
    let naga::TypeInner::Struct { members, span } = &ty.inner else { panic!("{name}") };
    let member = |m: &naga::StructMember| (m.name.clone().unwrap(), m.offset as usize);
    (*span as usize, members.iter().map(member).collect())
}

fn named<const N: usize>(
    size: usize,
    members: [(&str, usize); N],
) -> (usize, Vec<(String, usize)>) {
    (size, members.map(|(name, at)| (name.to_owned(), at)).to_vec())
}

#[test]
fn structs_have_the_layout_of_the_shipped_wgsl() {
    type P = PieceWords;
    let ours = [
        ("first_block", offset_of!(P, first_block)),
        ("begin", offset_of!(P, begin)),
        ("len", offset_of!(P, len)),
        ("start", offset_of!(P, start)),
        ("half", offset_of!(P, half)),
        ("last", offset_of!(P, last)),
        ("padding_a", offset_of!(P, padding)),
        ("padding_b", offset_of!(P, padding) + 4),
    ];
    let scan = Kernel::Scan(Access::Vector);
    assert_eq!(structure(scan, "Piece"), named(size_of::<P>(), ours));
    let ours = [
        ("max_norm", offset_of!(Policy, max_norm)),
        ("with_norm", offset_of!(Policy, with_norm)),
        ("skip_step", offset_of!(Policy, skip_step)),
        ("padding", offset_of!(Policy, padding)),
    ];
    assert_eq!(structure(Kernel::Decide, "Policy"), named(size_of::<Policy>(), ours));
    let ours = [
        ("non_finite", offset_of!(Outcome, non_finite)),
        ("first", offset_of!(Outcome, first)),
        ("skipped", offset_of!(Outcome, skipped)),
        ("norm", offset_of!(Outcome, norm)),
        ("skip", offset_of!(Outcome, skip)),
        ("clip", offset_of!(Outcome, clip)),
        ("scale", offset_of!(Outcome, scale)),
    ];
    assert_eq!(structure(Kernel::Decide, "Outcome"), named(size_of::<Outcome>(), ours));
    assert_eq!(structure(scan, "Partial").0 as u64, PARTIAL_BYTES);
    assert_eq!(2 * u64::from(WORKGROUP_SIZE) * structure(scan, "Lane").0 as u64, CARRIED_BYTES);
}

#[test]
fn bindings_are_those_of_the_shipped_wgsl() {
    for kernel in ALL {
        let module = parse(kernel);
        let mut found = Vec::new();
        for (_, global) in module.global_variables.iter() {
            let Some(place) = global.binding else { continue };
            assert_eq!(place.group, 0);
            let ty = match global.space {
                naga::AddressSpace::Uniform => UNIFORM,
                naga::AddressSpace::Storage { access }
                    if access.contains(naga::StorageAccess::STORE) =>
                {
                    WRITE
                }
                _ => READ,
            };
            found.push((place.binding, ty));
        }
        found.sort_by_key(|(binding, _)| *binding);
        let ours: Vec<_> = (0..).zip(kernel.bindings().iter().copied()).collect();
        assert_eq!(found, ours, "{kernel:?}");
        let size = if kernel == Kernel::Decide { 1 } else { WORKGROUP_SIZE };
        let entry = &module.entry_points[0];
        assert_eq!((entry.name.as_str(), entry.workgroup_size), (kernel.name(), [size, 1, 1]));
    }
}

#[test]
fn constants_are_those_of_the_shipped_wgsl() {
    let source = Kernel::Reduce.source(Precision::Native);
    let block = crate::numerics::sum::BLOCK;
    assert!(source.contains(&format!("const block_size: u32 = {block}u;")));
}

#[test]
fn every_kernel_is_valid_and_can_be_translated() {
    for kernel in ALL {
        for precision in [Precision::Native, Precision::Exact] {
            for non_finite in [NonFinite::SkipElement, NonFinite::SkipStep] {
                for max_norm in [None, Some(1.0)] {
                    let guard = GradientGuard { non_finite, max_norm };
                    let what = format!("{kernel:?} {precision} {guard:?}");
                    let constants = kernel.constants(&guard);
                    let source = kernel.source(precision);
                    crate::gpu::shader_check::translate(&what, &source, &constants);
                }
            }
        }
    }
}
