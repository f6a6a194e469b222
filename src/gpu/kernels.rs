//! The step kernels: their options, and the files that they are made of.

use super::kernel::Kernel;
use super::plan::Element;
use super::wgsl::{Bound, Formula, SquareOf, Text, Treatment, arithmetic};
use crate::numerics::Precision;

/// The options of all step kernels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StepChoice {
    pub(crate) formula: Formula,
    pub(crate) precision: Precision,
    pub(crate) treatment: Treatment,
    pub(crate) element: Element,
    /// The number of groups of hyper-parameters.
    pub(crate) groups: usize,
    pub(crate) workgroup_size: u32,
}

impl StepChoice {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        let mut constants = self.formula.constants();
        constants.push(("workgroup_size", f64::from(self.workgroup_size)));
        constants
    }
}

/// A step over blocks of tensors. Bindings: blocks, windows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TableKernel {
    pub(crate) step: StepChoice,
    /// For each window, whether its buffer holds parameters or state and is therefore bound for
    /// writing.
    pub(crate) written: Vec<bool>,
    /// For each route, the windows of the parameters, the gradients and each state vector.
    pub(crate) routes: Vec<Vec<usize>>,
}

impl Kernel for TableKernel {
    fn entry(&self) -> &'static str {
        "step"
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.step.constants()
    }

    fn text(&self) -> String {
        let StepChoice { formula, precision, treatment, element, groups, .. } = &self.step;
        let mut text = Text::new(&[include_str!("../../shaders/place/table.wgsl")]);
        text.rule(formula, *precision, SquareOf::Own);
        text.file(element.file());
        text.windows(*element, &self.written);
        text.chosen_state(formula);
        text.step(*treatment, *groups);
        for (route, windows) in self.routes.iter().enumerate() {
            text.route(route, windows, formula);
        }
        text.branch(
            "step_block(block: Block, hyper: Hyper, lane: u32)",
            "block.route",
            |route| format!("step_{route}(block, hyper, lane)"),
            self.routes.len(),
        );
        text.finish()
    }
}

/// Axis `place`, for rows: which rows of a table are stepped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WhichRows {
    /// The rows of a list.
    Named,
    /// All rows.
    All,
}

impl WhichRows {
    fn files(self) -> [&'static str; 2] {
        let place = match self {
            Self::Named => include_str!("../../shaders/place/named_rows.wgsl"),
            Self::All => include_str!("../../shaders/place/all_rows.wgsl"),
        };
        [include_str!("../../shaders/rows/job.wgsl"), place]
    }
}

/// A step over rows, or the means that it needs where the parameters of a row share accumulators.
/// Bindings: job; list, if rows are named; parameters, unless it computes means; gradients; state;
/// values shared by each row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RowsKernel {
    pub(crate) step: StepChoice,
    pub(crate) rows: WhichRows,
    /// Whether the parameters of a row share state.
    pub(crate) row_wise: bool,
    /// Whether it computes the means and steps the shared state.
    pub(crate) means: bool,
    /// Whether the gradients are split over several bindings.
    pub(crate) grads_in_parts: bool,
}

impl Kernel for RowsKernel {
    fn entry(&self) -> &'static str {
        if self.means { "mean" } else { "step" }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.step.constants()
    }

    fn text(&self) -> String {
        let StepChoice { formula, precision, treatment, element, groups, .. } = &self.step;
        let mut text = Text::new(&self.rows.files());
        text.constant("grads_in_parts", self.grads_in_parts);
        text.rule(formula, *precision, if self.row_wise { SquareOf::Row } else { SquareOf::Own });
        text.file(element.file());
        if !self.means {
            text.vector("params", *element, true);
        }
        text.vector("grads", *element, false);
        let bound = match (self.row_wise, self.means) {
            (false, _) => Bound::All,
            (true, false) => Bound::Unshared,
            (true, true) => Bound::Shared,
        };
        text.state(formula, bound, *element);
        if self.row_wise {
            text.shared_state(formula, self.means);
        }
        text.step(*treatment, *groups);
        text.file(match self.means {
            false => include_str!("../../shaders/rows/step.wgsl"),
            true => include_str!("../../shaders/rows/mean.wgsl"),
        });
        text.finish()
    }
}

/// The sums of the gradients of named rows. Bindings: job, list, sums, gradients.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SumKernel {
    pub(crate) precision: Precision,
    pub(crate) workgroup_size: u32,
}

impl Kernel for SumKernel {
    fn entry(&self) -> &'static str {
        "sum"
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("workgroup_size", f64::from(self.workgroup_size))]
    }

    fn text(&self) -> String {
        let mut text = Text::new(&WhichRows::Named.files());
        text.constant("grads_in_parts", true);
        text.file(arithmetic(self.precision));
        text.file(Element::Scalars.file());
        text.vector("sums", Element::Scalars, true);
        text.vector("grads", Element::Scalars, false);
        text.file(include_str!("../../shaders/rows/sum.wgsl"));
        text.finish()
    }
}

#[cfg(test)]
#[path = "kernel_tests.rs"]
mod tests;
