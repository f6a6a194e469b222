use super::super::super::order::{BLOCK, RUNS};
use super::super::job::Job;
use super::*;
use crate::gpu::Kernel as _;
use crate::gpu::shader_check::{check, same_layout};
use crate::rules::{AnyRule, with_rule};

fn native(kernel: Kernel) -> LinearKernel {
    LinearKernel { kernel, precision: Precision::Native }
}

#[test]
fn the_job_has_the_layout_of_the_wgsl() {
    same_layout!(
        &native(Kernel::Finish).text(),
        Job {
            rows,
            first,
            ordered,
            row_first,
            table_first,
            gathered,
            batch_rows,
            batches,
            first_step,
            columns,
            column_groups,
            group_first,
            groups,
            fresh,
            terms,
            output,
            divisor,
            l1,
            l2,
            skip
        }
    );
}

/// The constants that both Rust and WGSL state.
#[test]
fn constants_match_the_wgsl() {
    let sum = native(Kernel::Sum).text();
    let residual = native(Kernel::Residual(Loss::Squared)).text();
    let stated = |source: &str, line: String| assert!(source.contains(&line), "{line}");
    stated(&sum, format!("const block_size: u32 = {BLOCK}u;"));
    stated(&sum, format!("const run_count: u32 = {RUNS}u;"));
    stated(&sum, format!("const workgroup_size: u32 = {WORKGROUP_SIZE}u;"));
    stated(&residual, format!("const row_width: u32 = {ROW_WIDTH}u;"));
}

#[test]
fn every_kernel_is_valid_and_can_be_translated() {
    let losses = || [Loss::Squared, Loss::Logistic].into_iter();
    let mut kernels = vec![Kernel::Accumulate, Kernel::Finish, Kernel::Sum];
    kernels.extend(losses().flat_map(|loss| {
        [Kernel::Residual(loss), Kernel::ResidualNarrow(loss), Kernel::SparseResidual(loss)]
    }));
    for rule in AnyRule::examples() {
        let formula = with_rule!(rule, |rule| Formula::of(&rule));
        kernels.extend(losses().map(|loss| Kernel::Descend(loss, formula.clone())));
        kernels.push(Kernel::SparseDescend(formula));
    }
    for kernel in kernels {
        for precision in [Precision::Native, Precision::Exact] {
            check(&LinearKernel { kernel: kernel.clone(), precision });
        }
    }
}
