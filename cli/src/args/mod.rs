//! Arguments that several subcommands take, and how their values are read.

pub(crate) mod device;
pub(crate) mod headings;
pub(crate) mod rule;
pub(crate) mod rule_list;
pub(crate) mod training;
pub(crate) mod values;
