//! The text of kernels: one file for each axis, and the parts that depend on the bound vectors,
//! which are generated here.

use std::any::TypeId;
use std::fmt::Display;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::kernel::declaration;
use super::plan::Element;
use crate::numerics::Precision;
use crate::rules::{Rule, StateVector};
use crate::step::GradientGuard;

/// The file of axis `arithmetic`.
pub(crate) fn arithmetic(precision: Precision) -> &'static str {
    match precision {
        Precision::Native => include_str!("../../shaders/arithmetic/native.wgsl"),
        Precision::Exact => include_str!("../../shaders/arithmetic/exact.wgsl"),
    }
}

impl Element {
    /// The file of axis `element`.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Quads => include_str!("../../shaders/element/quads.wgsl"),
            Self::Scalars => include_str!("../../shaders/element/scalars.wgsl"),
        }
    }
}

/// Axis `treatment`: what a step does with gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Treatment {
    /// It uses gradients unchanged.
    #[default]
    None,
    /// It obeys a guard's decision: to change nothing, or to scale the gradients.
    Decided,
    /// It obeys the decision, and leaves an element unchanged if its gradient is not finite.
    OnlyFinite,
}

impl Treatment {
    /// The treatment that a guard requires.
    pub(crate) fn of(guard: &GradientGuard) -> Self {
        match (guard.scans(), guard.skips_elements()) {
            (false, _) => Self::None,
            (true, false) => Self::Decided,
            (true, true) => Self::OnlyFinite,
        }
    }

    fn files(self) -> &'static [&'static str] {
        const DECISION: &str = include_str!("../../shaders/guard/decision.wgsl");
        const DECIDED: &str = include_str!("../../shaders/treatment/decided.wgsl");
        const ONLY_FINITE: &str = include_str!("../../shaders/treatment/only_finite.wgsl");
        match self {
            Self::None => &[include_str!("../../shaders/treatment/none.wgsl")],
            Self::Decided => &[OUTCOME, DECISION, DECIDED],
            Self::OnlyFinite => &[OUTCOME, DECISION, ONLY_FINITE],
        }
    }
}

/// `struct Outcome`, shared by the kernel that decides and the kernels that obey.
pub(crate) const OUTCOME: &str = include_str!("../../shaders/guard/outcome.wgsl");

/// Axis `square`: what stands for the square of a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SquareOf {
    /// Each parameter's own square.
    Own,
    /// The mean square of its row.
    Row,
}

/// The parts of a rule that a kernel is compiled with: its type, its choices of formula, and the
/// state that they need. Cheap to clone and to compare.
#[derive(Clone, Debug)]
pub(crate) struct Formula(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rule: TypeId,
    shader: &'static str,
    members: &'static [&'static str],
    state: Vec<StateVector>,
    constants: Vec<(&'static str, f64)>,
}

impl Inner {
    /// Compares constants by their bits: two NaNs are the same.
    fn is_same(&self, other: &Self) -> bool {
        let bits = |&(name, value): &(&'static str, f64)| (name, value.to_bits());
        self.rule == other.rule
            && self.state == other.state
            && self.constants.iter().map(bits).eq(other.constants.iter().map(bits))
    }
}

impl PartialEq for Formula {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.is_same(&other.0)
    }
}

impl Eq for Formula {}

impl Hash for Formula {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // A rule has few formulas; `eq` distinguishes those with equal hashes.
        self.0.rule.hash(state);
        self.0.constants.iter().for_each(|(_, value)| value.to_bits().hash(state));
    }
}

impl Formula {
    /// The formula of `rule` with the state vectors `used`, as indices into [`Rule::STATE`]: those
    /// of this rule, and those of other rules that share its kernels.
    pub(crate) fn new<R: Rule>(rule: &R, used: &[usize]) -> Self {
        let vector =
            |&k: &usize| StateVector { name: R::STATE[k], initial: 0.0, shared: rule.can_share(k) };
        Self(Arc::new(Inner {
            rule: TypeId::of::<R>(),
            shader: R::SHADER,
            members: R::STATE,
            state: used.iter().map(vector).collect(),
            constants: rule.constants(),
        }))
    }

    /// The formula of a rule with its own state vectors only.
    pub(crate) fn of<R: Rule>(rule: &R) -> Self {
        let used: Vec<_> = (0..R::STATE.len()).filter(|&k| rule.uses_state(k)).collect();
        Self::new(rule, &used)
    }

    /// The values of the overrides in the rule's WGSL.
    pub(crate) fn constants(&self) -> Vec<(&'static str, f64)> {
        self.0.constants.clone()
    }

    /// The number of state vectors.
    pub(crate) fn state_count(&self) -> usize {
        self.0.state.len()
    }

    /// The names of the state vectors that are `bound`.
    fn vectors(&self, bound: Bound) -> Vec<&'static str> {
        let is_bound = |vector: &&StateVector| match bound {
            Bound::All => true,
            Bound::Shared => vector.shared,
            Bound::Unshared => !vector.shared,
        };
        self.0.state.iter().filter(is_bound).map(|vector| vector.name).collect()
    }

    /// The number of words stored for each row that its parameters share: the mean square and the
    /// shared state.
    pub(crate) fn shared_words(&self) -> usize {
        1 + self.vectors(Bound::Shared).len()
    }
}

/// Which state vectors a kernel reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bound {
    /// All state vectors.
    All,
    /// The shared ones.
    Shared,
    /// The others.
    Unshared,
}

/// A statement for each name.
fn lines(names: &[&str], statement: impl Fn(&str) -> String) -> String {
    names.iter().map(|name| format!("    {};\n", statement(name))).collect()
}

/// A kernel's text under construction. Bindings of group 0 are numbered in the order in which they
/// are added.
#[derive(Debug)]
pub(crate) struct Text {
    text: String,
    next_binding: u32,
}

impl Text {
    /// Starts with these files.
    pub(crate) fn new(files: &[&str]) -> Self {
        let mut text = Self { text: String::new(), next_binding: 0 };
        text.files(files);
        text
    }

    /// Adds a file.
    pub(crate) fn file(&mut self, file: &str) {
        self.next_binding +=
            file.lines().filter(|line| matches!(declaration(line), Some((0, ..)))).count() as u32;
        self.push(file);
    }

    /// Adds files.
    pub(crate) fn files(&mut self, files: &[&str]) {
        files.iter().for_each(|file| self.file(file));
    }

    fn push(&mut self, part: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(part);
    }

    /// Adds a `const`.
    pub(crate) fn constant(&mut self, name: &str, value: impl Display) {
        self.push(&format!("const {name} = {value};\n"));
    }

    /// The complete text.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// Adds the rule with its arithmetic, and `struct State` with a member for each state name.
    pub(crate) fn rule(&mut self, formula: &Formula, precision: Precision, square: SquareOf) {
        self.file(arithmetic(precision));
        self.file(include_str!("../../shaders/decay.wgsl"));
        self.file(formula.0.shader);
        self.file(match square {
            SquareOf::Own => include_str!("../../shaders/square/own.wgsl"),
            SquareOf::Row => include_str!("../../shaders/square/mean.wgsl"),
        });
        let members: String =
            formula.0.members.iter().map(|name| format!("    {name}: Real,\n")).collect();
        // WGSL requires a member, even for a rule without state.
        let members = if members.is_empty() { "    nothing: u32,\n" } else { &members };
        self.push(&format!("struct State {{\n{members}}}\n"));
    }

    /// Adds the step of four elements: the treatment of gradients, and the hyper-parameters of
    /// `groups` groups.
    pub(crate) fn step(&mut self, treatment: Treatment, groups: usize) {
        self.files(treatment.files());
        self.constant("group_count", format_args!("{groups}u"));
        self.file(include_str!("../../shaders/step.wgsl"));
    }

    /// Adds a vector of f32: its binding, `load_NAME` and, if it is written, `store_NAME`.
    pub(crate) fn vector(&mut self, name: &str, element: Element, written: bool) {
        self.bound(name, "array<Element>", written);
        let (load, store) = match element {
            Element::Quads => {
                (format!("    return {name}[at];\n"), format!("    {name}[at] = value;\n"))
            }
            Element::Scalars => {
                let each = |line: &dyn Fn(char) -> String| -> String {
                    let line = |k| format!("    if (at.present.{k}) {{ {} }}\n", line(k));
                    "xyzw".chars().map(line).collect()
                };
                let load = each(&|k| format!("value.{k} = {name}[at.elements.{k}];"));
                let store = each(&|k| format!("{name}[at.elements.{k}] = value.{k};"));
                (format!("    var value: Real;\n{load}    return value;\n"), store)
            }
        };
        self.function(&format!("load_{name}(at: At) -> Real"), &load);
        if written {
            self.function(&format!("store_{name}(at: At, value: Real)"), &store);
        }
    }

    /// Adds a binding to group 0.
    pub(crate) fn bound(&mut self, name: &str, ty: &str, written: bool) {
        let (binding, access) = (self.next_binding, if written { "read_write" } else { "read" });
        self.next_binding += 1;
        self.push(&format!("@group(0) @binding({binding}) var<storage, {access}> {name}: {ty};\n"));
    }

    /// Adds state vectors, with `load_state`, `store_state` and `chosen_state`.
    pub(crate) fn state(&mut self, formula: &Formula, bound: Bound, element: Element) {
        let vectors = formula.vectors(bound);
        vectors.iter().for_each(|name| self.vector(name, element, true));
        let load = lines(&vectors, |name| format!("state.{name} = load_{name}(at)"));
        let store = lines(&vectors, |name| format!("store_{name}(at, state.{name})"));
        self.push(&format!(
            "fn load_state(at: At) -> State {{\n    var state: State;\n{load}    return state;\n}}\n\n\
             fn store_state(at: At, state: State) {{\n{store}}}\n",
        ));
        self.chosen_state(formula);
    }

    /// Adds `chosen_state`, over all members.
    pub(crate) fn chosen_state(&mut self, formula: &Formula) {
        let select = lines(formula.0.members, |name| {
            format!("chosen.{name} = select(a.{name}, b.{name}, is_b)")
        });
        self.push(&format!(
            "// One of two states for each element.\n\
             fn chosen_state(a: State, b: State, is_b: vec4<bool>) -> State {{\n    \
             var chosen = a;\n{select}    return chosen;\n}}\n",
        ));
    }

    /// Adds the step of a block whose parameters, gradients and state vectors lie in these windows.
    pub(crate) fn route(&mut self, number: usize, windows: &[usize], formula: &Formula) {
        let (params, grads) = (windows[0], windows[1]);
        let state: Vec<_> = (0..).zip(formula.vectors(Bound::All)).zip(&windows[2..]).collect();
        let load = state.iter().map(|((k, name), window)| {
            format!("        state.{name} = load_window_{window}(here.state_{k});\n")
        });
        let store = state.iter().map(|((k, name), window)| {
            format!("        store_window_{window}(here.state_{k}, state.{name});\n")
        });
        let (load, store) = (load.collect::<String>(), store.collect::<String>());
        self.function(
            &format!("step_{number}(block: Block, hyper: Hyper, lane: u32)"),
            &format!(
                "    for (var first = run_stride * lane; first < block.len; first += run_stride * workgroup_size) {{
        let here = locate(block, first);
        var state: State;
{load}        let x = load_window_{params}(here.params);
        let gradient = load_window_{grads}(here.grads);
        store_window_{params}(here.params, stepped(hyper, x, gradient, &state));
{store}    }}
"
            ),
        );
    }

    /// Adds the values that the parameters of a row share. The kernel that computes means leaves
    /// them, and the step takes them.
    pub(crate) fn shared_state(&mut self, formula: &Formula, written: bool) {
        self.bound("shared_by_row", "array<Scalar>", written);
        self.constant("shared_words", format_args!("{}u", formula.shared_words()));
        let state = if written { "state" } else { "(*state)" };
        let members = formula.vectors(Bound::Shared);
        let members = members.iter().map(|name| format!("{state}.{name}"));
        let line = |(index, member): (usize, String)| {
            let place = format!("shared_by_row[first + {index}u]");
            match written {
                true => format!("    {place} = {member}.x;\n"),
                false => format!("    {member} = splat({place});\n"),
            }
        };
        let lines = ["mean_square".to_owned()].into_iter().chain(members).enumerate().map(line);
        let lines: String = lines.collect();
        let head = match written {
            true => "leave_shared(row: u32, state: State)",
            false => "take_shared(row: u32, state: ptr<function, State>)",
        };
        self.function(head, &format!("    let first = shared_words * row;\n{lines}"));
    }

    /// Adds windows with the names `window_NUMBER`, each bound for writing or not.
    pub(crate) fn windows(&mut self, element: Element, written: &[bool]) {
        for (index, &written) in written.iter().enumerate() {
            self.vector(&format!("window_{index}"), element, written);
        }
    }

    /// Adds a branch to one of several functions: `NAME_0`, `NAME_1` and so on.
    pub(crate) fn branch(
        &mut self,
        head: &str,
        on: &str,
        call: impl Fn(usize) -> String,
        count: usize,
    ) {
        let body = match count {
            1 => format!("    {};\n", call(0)),
            _ => {
                let case = |index| format!("        case {index}u: {{ {}; }}\n", call(index));
                let cases: String = (0..count).map(case).collect();
                format!("    switch {on} {{\n{cases}        default: {{}}\n    }}\n")
            }
        };
        self.function(head, &body);
    }

    /// Adds a function.
    pub(crate) fn function(&mut self, head: &str, body: &str) {
        self.push(&format!("fn {head} {{\n{body}}}\n"));
    }
}
