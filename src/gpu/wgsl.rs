//! The text of kernels: a file from each axis, and what depends on the vectors that are bound, which
//! is written here and nowhere else.

use std::any::TypeId;
use std::fmt::Display;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::kernel::declaration;
use super::plan::Element;
use crate::numerics::Precision;
use crate::rules::{Rule, StateVector};
use crate::step::GradientGuard;

/// Axis `arithmetic`.
pub(crate) fn arithmetic(precision: Precision) -> &'static str {
    match precision {
        Precision::Native => include_str!("../../shaders/arithmetic/native.wgsl"),
        Precision::Exact => include_str!("../../shaders/arithmetic/exact.wgsl"),
    }
}

impl Element {
    /// Axis `element`.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Quads => include_str!("../../shaders/element/quads.wgsl"),
            Self::Scalars => include_str!("../../shaders/element/scalars.wgsl"),
        }
    }
}

/// Axis `treatment`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Treatment {
    /// Gradients are taken as they are.
    #[default]
    None,
    /// A step obeys a decision: to change nothing, or to scale the gradients.
    Decided,
    /// The same, and an element keeps parameter and state if its gradient is not finite.
    OnlyFinite,
}

impl Treatment {
    /// What a guard asks for.
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

/// `struct Outcome`, shared by the kernel that decides and those that obey.
pub(crate) const OUTCOME: &str = include_str!("../../shaders/guard/outcome.wgsl");

/// Axis `square`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SquareOf {
    /// Every parameter's own.
    Own,
    /// The mean over its row; with this many elements that a row shares, the mean among them.
    Row,
}

/// What of a rule a kernel is compiled with: its type, its choices of formula, and the state that
/// these need. Cheap to clone and to compare.
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
    /// By bits: two constants that are NaN are the same.
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
        // Formulas of one rule are few: the rest is for `eq` to tell apart.
        self.0.rule.hash(state);
        self.0.constants.iter().for_each(|(_, value)| value.to_bits().hash(state));
    }
}

impl Formula {
    /// Of `rule`, whose state vectors are `used` of [`Rule::STATE`], by number: those of this rule, or
    /// of others that share its kernels too.
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

    /// Of a rule alone.
    pub(crate) fn of<R: Rule>(rule: &R) -> Self {
        let used: Vec<_> = (0..R::STATE.len()).filter(|&k| rule.uses_state(k)).collect();
        Self::new(rule, &used)
    }

    /// The values of the overrides in the rule's WGSL.
    pub(crate) fn constants(&self) -> Vec<(&'static str, f64)> {
        self.0.constants.clone()
    }

    /// How many state vectors there are.
    pub(crate) fn state_count(&self) -> usize {
        self.0.state.len()
    }

    /// The names of some of the state vectors.
    fn vectors(&self, bound: Bound) -> Vec<&'static str> {
        let is_bound = |vector: &&StateVector| match bound {
            Bound::All => true,
            Bound::Shared => vector.shared,
            Bound::Unshared => !vector.shared,
        };
        self.0.state.iter().filter(is_bound).map(|vector| vector.name).collect()
    }

    /// Numbers that are kept of each row for its parameters to share: the mean square, and state.
    pub(crate) fn shared_words(&self) -> usize {
        1 + self.vectors(Bound::Shared).len()
    }
}

/// Which state vectors a kernel reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bound {
    /// All.
    All,
    /// Those that rows share.
    Shared,
    /// The others.
    Unshared,
}

/// A statement for each name.
fn lines(names: &[&str], statement: impl Fn(&str) -> String) -> String {
    names.iter().map(|name| format!("    {};\n", statement(name))).collect()
}

/// A kernel's text in the making. Bindings of group 0 are numbered as they come.
#[derive(Debug)]
pub(crate) struct Text {
    text: String,
    next_binding: u32,
}

impl Text {
    /// Of these files.
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

    /// The whole.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// The rule with the arithmetic, and `struct State` with a member for each of its names.
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
        // A rule without state still has a struct, and WGSL wants a member in it.
        let members = if members.is_empty() { "    nothing: u32,\n" } else { &members };
        self.push(&format!("struct State {{\n{members}}}\n"));
    }

    /// The step of four elements by a rule: what is done to gradients, and hyper-parameters of so many
    /// groups.
    pub(crate) fn step(&mut self, treatment: Treatment, groups: usize) {
        self.files(treatment.files());
        self.constant("group_count", format_args!("{groups}u"));
        self.file(include_str!("../../shaders/step.wgsl"));
    }

    /// A vector of f32: its binding, and `load_NAME` and, if it is written, `store_NAME`.
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

    /// A binding of group 0.
    pub(crate) fn bound(&mut self, name: &str, ty: &str, written: bool) {
        let (binding, access) = (self.next_binding, if written { "read_write" } else { "read" });
        self.next_binding += 1;
        self.push(&format!("@group(0) @binding({binding}) var<storage, {access}> {name}: {ty};\n"));
    }

    /// State vectors, with `load_state` and `store_state`, and `chosen_state`.
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

    /// `chosen_state`, of all members.
    pub(crate) fn chosen_state(&mut self, formula: &Formula) {
        let select = lines(formula.0.members, |name| {
            format!("chosen.{name} = select(a.{name}, b.{name}, is_b)")
        });
        self.push(&format!(
            "// Of each element one of two states.\n\
             fn chosen_state(a: State, b: State, is_b: vec4<bool>) -> State {{\n    \
             var chosen = a;\n{select}    return chosen;\n}}\n",
        ));
    }

    /// The step of a block whose parameters, gradients and state vectors lie in these windows.
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

    /// What the parameters of a row share: left by the kernel that finds means, taken by the step.
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

    /// Windows of the caller's buffers, each bound for writing or not, by the name `window_NUMBER`.
    pub(crate) fn windows(&mut self, element: Element, written: &[bool]) {
        for (index, &written) in written.iter().enumerate() {
            self.vector(&format!("window_{index}"), element, written);
        }
    }

    /// A branch to one of several functions: `NAME_0`, `NAME_1` and so on.
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

    /// A function.
    pub(crate) fn function(&mut self, head: &str, body: &str) {
        self.push(&format!("fn {head} {{\n{body}}}\n"));
    }
}
