//! The kernels of a guard.

use super::super::kernel::Kernel;
use super::super::plan::Element;
use super::super::wgsl::{OUTCOME, Text, arithmetic};
use crate::numerics::Precision;

/// `workgroup_size` of `shaders/guard/partial.wgsl`: the number of invocations that share a block.
pub(super) const WORKGROUP_SIZE: u32 = 64;
/// The size of `struct Partial` of the WGSL, in bytes.
pub(super) const PARTIAL_BYTES: u64 = 32;
/// The size of `struct Lane` of `shaders/guard/scan.wgsl` for all invocations, in bytes.
pub(super) const CARRIED_BYTES: u64 = 64 * 32;
/// The maximum workgroup memory of these kernels, in bytes.
pub(super) const WORKGROUP_BYTES: u64 = 64 * (16 + 16);

const PARTIAL: &str = include_str!("../../../shaders/guard/partial.wgsl");
const TREE: &str = include_str!("../../../shaders/guard/tree.wgsl");

/// Scans blocks of gradients. Bindings: entries, carried, partials, windows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::gpu) struct ScanKernel {
    pub(in crate::gpu) precision: Precision,
    pub(in crate::gpu) element: Element,
    pub(in crate::gpu) windows: usize,
    pub(in crate::gpu) with_norm: bool,
    pub(in crate::gpu) only_finite: bool,
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

impl Kernel for ScanKernel {
    fn entry(&self) -> &'static str {
        "scan"
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("with_norm", flag(self.with_norm)), ("only_finite", flag(self.only_finite))]
    }

    fn text(&self) -> String {
        let scan = include_str!("../../../shaders/guard/scan.wgsl");
        let mut text = Text::new(&[scan, arithmetic(self.precision), PARTIAL, TREE]);
        text.file(self.element.file());
        text.windows(self.element, &vec![false; self.windows]);
        for window in 0..self.windows {
            text.function(
                &format!("scan_{window}(piece: Piece, lane: u32, found: ptr<function, Found>)"),
                &format!(
                    "    let first = piece.begin / lane_count * lane_count + 4u * lane;
    for (var position = first; position < piece.end; position += lane_count) {{
        let present = in_piece(piece, position);
        if (any(present)) {{
            let start = piece.start + (position - piece.begin);
            let bits = to_bits(load_window_{window}(at(start, present)));
            look(found, select(vec4<u32>(), bits, present), position);
        }}
    }}
"
                ),
            );
        }
        text.branch(
            "scan_piece(piece: Piece, lane: u32, found: ptr<function, Found>)",
            "piece.window",
            |window| format!("scan_{window}(piece, lane, found)"),
            self.windows,
        );
        text.finish()
    }
}

/// Sums blocks of partials. Bindings: partials, reduced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::gpu) struct ReduceKernel {
    pub(in crate::gpu) precision: Precision,
    pub(in crate::gpu) with_norm: bool,
}

impl Kernel for ReduceKernel {
    fn entry(&self) -> &'static str {
        "reduce"
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("with_norm", flag(self.with_norm))]
    }

    fn text(&self) -> String {
        let reduce = include_str!("../../../shaders/guard/reduce.wgsl");
        Text::new(&[arithmetic(self.precision), PARTIAL, TREE, reduce]).finish()
    }
}

/// Decides what the step does. Bindings: policy, partials, outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::gpu) struct DecideKernel {
    pub(in crate::gpu) precision: Precision,
}

impl Kernel for DecideKernel {
    fn entry(&self) -> &'static str {
        "decide"
    }

    fn text(&self) -> String {
        let decide = include_str!("../../../shaders/guard/decide.wgsl");
        Text::new(&[arithmetic(self.precision), PARTIAL, OUTCOME, decide]).finish()
    }
}

#[cfg(test)]
#[path = "kernels_tests.rs"]
mod tests;
