use super::super::blocks::{Block, Piece};
use super::super::outcome::{Outcome, Policy};
use super::*;
use crate::gpu::shader_check::{check, same_layout, structure};

const DECIDE: DecideKernel = DecideKernel { precision: Precision::Native };
const SCAN: ScanKernel = ScanKernel {
    precision: Precision::Native,
    element: Element::Quads,
    windows: 1,
    with_norm: true,
    only_finite: false,
};

#[test]
fn structs_have_the_layout_of_the_wgsl() {
    same_layout!(&DECIDE.text(), Policy { max_norm, with_norm, skip_step, padding });
    same_layout!(&DECIDE.text(), Outcome { non_finite, first, skipped, norm, skip, clip, scale });
    let scan = SCAN.text();
    same_layout!(
        &scan,
        Block { first_piece, end_piece, number, carried, goes_on, is_left, first_low, first_high }
    );
    same_layout!(&scan, Piece { window, start, begin, end });
    assert_eq!(structure(&scan, "Partial").0 as u64, PARTIAL_BYTES);
    let lane = structure(&scan, "Lane").0 as u64;
    assert_eq!(u64::from(WORKGROUP_SIZE) * lane, CARRIED_BYTES);
}

#[test]
fn constants_match_the_wgsl() {
    let (text, block) = (SCAN.text(), crate::numerics::sum::BLOCK);
    assert!(text.contains(&format!("const block_size: u32 = {block}u;")));
    assert!(text.contains(&format!("const workgroup_size: u32 = {WORKGROUP_SIZE}u;")));
}

#[test]
fn every_kernel_is_valid_and_can_be_translated() {
    for precision in [Precision::Native, Precision::Exact] {
        check(&DecideKernel { precision });
        for with_norm in [false, true] {
            check(&ReduceKernel { precision, with_norm });
            for only_finite in [false, true] {
                for (element, windows) in [(Element::Quads, 1), (Element::Scalars, 3)] {
                    check(&ScanKernel { precision, element, windows, with_norm, only_finite });
                }
            }
        }
    }
}
