//! The bytes of a safetensors file: no more of them than it announces, and no fewer.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::input::libsvm::MAX_FEATURES;

/// The longest header that a safetensors file has.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// As many weights as `fit` can train on the features of LIBSVM text, and a bias.
const MAX_TENSOR_BYTES: u64 = 4 * (MAX_FEATURES as u64 + 1);

/// Reads a file up to the end that its header announces and one byte more, since a pipe or a device
/// may have no end. What does not begin as a safetensors file is not read further.
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
        let reason = format!("this is no model: it announces more than {MAX_FEATURES} weights");
        return Err(io::Error::other(reason));
    }
    read(tensors + 1, &mut bytes)?;
    Ok(bytes)
}

/// How many bytes a file has, for an error; 0 if it does not say.
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

/// What is wrong with a file that is shorter or longer than it says. The library's words for this are
/// not for users.
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
        Ordering::Less => Some(format!("the model is damaged: it goes on behind byte {expected}")),
        Ordering::Equal => None,
        Ordering::Greater => Some(truncated(expected)),
    }
}
