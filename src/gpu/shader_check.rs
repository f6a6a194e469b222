//! Checks for tests: a kernel is valid, can be translated for every kind of device and has the
//! bindings of its layout; structs of host and shader have the same layout.

use naga::back::{hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::valid::{Capabilities, ValidationFlags, Validator};

use super::kernel::{Kernel, declaration};

/// Checks a kernel.
pub(crate) fn check(kernel: &impl Kernel) {
    let (what, text) = (format!("{kernel:?}"), kernel.text());
    translate(&what, &text, &kernel.constants());
    let module = naga::front::wgsl::parse_str(&text).unwrap();
    let entries: Vec<_> = module.entry_points.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(entries, [kernel.entry()], "{what}");
    let space = |global: &naga::GlobalVariable| match global.space {
        naga::AddressSpace::Uniform => "uniform",
        naga::AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => {
            "storage, read_write"
        }
        _ => "storage, read",
    };
    let bound = module.global_variables.iter().filter_map(|(_, global)| {
        global.binding.as_ref().map(|place| (place.group, place.binding, space(global)))
    });
    let mut bound: Vec<_> = bound.collect();
    let mut read: Vec<_> = text.lines().filter_map(declaration).collect();
    bound.sort_unstable();
    read.sort_unstable();
    assert_eq!(bound, read, "{what}: bindings that naga finds, and those read from the text");
    for group in 0..3 {
        let own = bound.iter().filter(|(of, ..)| *of == group).map(|(_, binding, _)| *binding);
        assert!(own.eq(0..bound.iter().filter(|(of, ..)| *of == group).count() as u32), "{what}");
    }
}

/// A struct of a kernel's WGSL: its size, and its members' names and offsets.
pub(crate) fn structure(text: &str, name: &str) -> (usize, Vec<(String, usize)>) {
    let module = naga::front::wgsl::parse_str(text).unwrap();
    let (_, ty) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name)).unwrap();
    let naga::TypeInner::Struct { members, span } = &ty.inner else { panic!("{name}") };
    let member = |m: &naga::StructMember| (m.name.clone().unwrap(), m.offset as usize);
    (*span as usize, members.iter().map(member).collect())
}

/// Asserts that a host struct has the size, members and offsets of the WGSL's.
macro_rules! same_layout {
    ($text:expr, $Struct:ident { $($member:ident),+ $(,)? }) => {{
        let ours = vec![
            $((stringify!($member).to_owned(), std::mem::offset_of!($Struct, $member)),)+
        ];
        let found = $crate::gpu::shader_check::structure($text, stringify!($Struct));
        assert_eq!(found, (size_of::<$Struct>(), ours));
    }};
}

pub(crate) use same_layout;

/// Validates a kernel and translates it to SPIR-V, MSL and HLSL.
pub(crate) fn translate(what: &str, source: &str, constants: &[(&str, f64)]) {
    let fail = |stage: &str, error: String| panic!("{what}: {stage}: {error}");
    let module = naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|error| panic!("{what}: {}", error.emit_to_string(source)));
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
    let info = validator.validate(&module).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let constants = constants.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    let (module, info) = process_overrides(&module, &info, None, &constants)
        .unwrap_or_else(|error| panic!("{what}: overrides: {error}"));
    let words = spv::write_vec(&module, &info, &spv::Options::default(), None);
    match words {
        Ok(words) => assert_eq!(words[0], 0x0723_0203, "{what}: the magic number of SPIR-V"),
        Err(error) => fail("SPIR-V", error.to_string()),
    }
    let options = msl::Options { fake_missing_bindings: true, ..Default::default() };
    if let Err(error) = msl::write_string(&module, &info, &options, &Default::default()) {
        fail("MSL", error.to_string());
    }
    let options = hlsl::Options { fake_missing_bindings: true, ..Default::default() };
    let mut text = String::new();
    let pipeline = Default::default();
    if let Err(error) =
        hlsl::Writer::new(&mut text, &options, &pipeline).write(&module, &info, None)
    {
        fail("HLSL", error.to_string());
    }
}
