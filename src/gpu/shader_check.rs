//! For tests: every shader is valid, and can be translated for every kind of device.

use naga::back::{hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::valid::{Capabilities, ValidationFlags, Validator};

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
