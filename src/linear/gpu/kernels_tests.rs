use std::mem::offset_of;

use super::super::job::Job;
use super::*;

const ALL: [Kernel; 6] = [
    Kernel::Residual,
    Kernel::ResidualNarrow,
    Kernel::Accumulate,
    Kernel::Finish,
    Kernel::Sum,
    Kernel::SparseResidual,
];

#[test]
fn bindings_are_those_of_the_shipped_wgsl() {
    for kernel in ALL {
        let module =
            naga::front::wgsl::parse_str(&kernel.source(Precision::Native, Loss::Squared)).unwrap();
        let mut found = Vec::new();
        for (_, global) in module.global_variables.iter() {
            let Some(place) = global.binding else { continue };
            if let naga::AddressSpace::Storage { access } = global.space {
                assert_eq!(place.group, 0);
                found.push((place.binding, access.contains(naga::StorageAccess::STORE)));
            }
        }
        found.sort_unstable();
        let ours: Vec<_> = (0..).zip(kernel.writes().iter().copied()).collect();
        assert_eq!(found, ours, "{}", kernel.name());
        let entry = &module.entry_points[0];
        assert_eq!(
            (entry.name.as_str(), entry.workgroup_size),
            (kernel.name(), [WORKGROUP_SIZE, 1, 1])
        );
    }
}

#[test]
fn the_job_has_the_layout_of_the_shipped_wgsl() {
    let module =
        naga::front::wgsl::parse_str(&Kernel::Finish.source(Precision::Native, Loss::Squared))
            .unwrap();
    let (_, ty) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some("Job")).unwrap();
    let naga::TypeInner::Struct { members, span } = &ty.inner else { panic!("not a struct") };
    let found: Vec<_> =
        members.iter().map(|m| (m.name.as_deref().unwrap(), m.offset as usize)).collect();
    let ours = [
        ("rows", offset_of!(Job, rows)),
        ("first", offset_of!(Job, first)),
        ("ordered", offset_of!(Job, ordered)),
        ("row_first", offset_of!(Job, row_first)),
        ("table_first", offset_of!(Job, table_first)),
        ("gathered", offset_of!(Job, gathered)),
        ("batch_rows", offset_of!(Job, batch_rows)),
        ("batches", offset_of!(Job, batches)),
        ("first_step", offset_of!(Job, first_step)),
        ("columns", offset_of!(Job, columns)),
        ("column_groups", offset_of!(Job, column_groups)),
        ("group_first", offset_of!(Job, group_first)),
        ("groups", offset_of!(Job, groups)),
        ("fresh", offset_of!(Job, fresh)),
        ("terms", offset_of!(Job, terms)),
        ("output", offset_of!(Job, output)),
        ("divisor", offset_of!(Job, divisor)),
        ("l1", offset_of!(Job, l1)),
        ("l2", offset_of!(Job, l2)),
        ("skip", offset_of!(Job, skip)),
    ];
    assert_eq!((found, *span as usize), (ours.to_vec(), size_of::<Job>()));
}

/// The constants that Rust and WGSL share by agreement.
#[test]
fn constants_are_those_of_the_shipped_wgsl() {
    let sum = Kernel::Sum.source(Precision::Native, Loss::Squared);
    let residual = Kernel::Residual.source(Precision::Native, Loss::Squared);
    let stated = |source: &str, line: String| assert!(source.contains(&line), "{line}");
    stated(&sum, format!("const block_size: u32 = {}u;", super::super::super::order::BLOCK));
    stated(&sum, format!("const run_count: u32 = {RUNS}u;"));
    stated(&sum, format!("const workgroup_size: u32 = {WORKGROUP_SIZE}u;"));
    stated(&residual, format!("const row_width: u32 = {ROW_WIDTH}u;"));
}

#[test]
fn every_kernel_is_valid_and_can_be_translated() {
    for kernel in ALL {
        for precision in [Precision::Native, Precision::Exact] {
            for loss in [Loss::Squared, Loss::Logistic] {
                let what = format!("{} {precision} {loss}", kernel.name());
                let source = kernel.source(precision, loss);
                crate::gpu::shader_check::translate(&what, &source, &[]);
            }
        }
    }
}
