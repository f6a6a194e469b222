//! Reads the bytes of a safetensors file, and checks that there are as many as its header
//! announces.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::input::libsvm::MAX_FEATURES;

/// The maximum length of a safetensors file's header.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// The weights of the largest model that `fit` can train, and its bias.
const MAX_TENSOR_BYTES: u64 = 4 * (MAX_FEATURES as u64 + 1);

/// Reads a file up to the end that its header announces and one byte more, since a pipe or a device
/// may have no end. Reading stops early if the file does not begin as a safetensors file.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    let mut read = |count: u64, bytes: &mut Vec<u8>| file.by_ref().take(count).read_to_end(bytes);
    read(9, &mut bytes)?;
    let Some((length, b"{")) = bytes.split_first_chunk::<8>() else { return Ok(bytes) };
    let header = u64::from_le_bytes(*length).min(MAX_HEADER_BYTES);
    read(header.saturating_sub(1), &mut bytes)?;
    let tensors = announced_bytes(bytes.get(8..).unwrap_or_default()).unwrap_or(0);
    if tensors > MAX_TENSOR_BYTES {
        let reason = format!("this is not a model: it announces more than {MAX_FEATURES} weights");
        return Err(io::Error::other(reason));
    }
    read(tensors + 1, &mut bytes)?;
    Ok(bytes)
}

/// The size of a file, for an error; 0 if it is unknown.
pub(super) fn size(path: &Path) -> usize {
    std::fs::metadata(path).map_or(0, |found| usize::try_from(found.len()).unwrap_or(usize::MAX))
}

/// Where the last tensor ends, counted from the end of a header.
fn announced_bytes(header: &[u8]) -> Option<u64> {
    let header: serde_json::Value = serde_json::from_slice(header).ok()?;
    let ends = header
        .as_object()?
        .values()
        .filter_map(|tensor| tensor.get("data_offsets")?.as_array()?.get(1)?.as_u64());
    ends.max()
}

/// What is wrong with a file that is shorter or longer than it announces. The library's own message
/// would not help a user.
pub(super) fn wrong_length(bytes: &[u8]) -> Option<String> {
    if bytes.is_empty() {
        return Some("the file is empty".to_owned());
    }
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let header_length = u64::from_le_bytes(*length);
    let starts_as_header = rest.first() == Some(&b'{');
    let truncated = |expected: u64| {
        format!("the file is truncated: it has {} of {expected} bytes", bytes.len())
    };
    if starts_as_header && header_length > MAX_HEADER_BYTES {
        return Some("this is not a safetensors file (its header is too long)".to_owned());
    }
    if starts_as_header && header_length > rest.len() as u64 {
        return Some(truncated(header_length.saturating_add(8)));
    }
    let header = rest.get(..usize::try_from(header_length).ok()?)?;
    let expected = announced_bytes(header)?.saturating_add(header_length).saturating_add(8);
    match expected.cmp(&(bytes.len() as u64)) {
        Ordering::Less => Some(format!("the model is damaged: it continues after byte {expected}")),
        Ordering::Equal => None,
        Ordering::Greater => Some(truncated(expected)),
    }
}
