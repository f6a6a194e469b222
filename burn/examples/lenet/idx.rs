//! The idx format of MNIST and its successors: a magic number, the lengths of the dimensions, and
//! then the bytes. <https://yann.lecun.org/exdb/mnist/>

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;

/// How a gzip file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The type code of unsigned bytes.
const BYTES: u8 = 8;

/// The bytes of an idx file and the lengths of its dimensions, the outermost first.
#[derive(Debug, PartialEq)]
pub struct Idx {
    pub dimensions: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// What is wrong with an idx file.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum IdxError {
    #[error("{0}")]
    Read(String),
    #[error("not an idx file of unsigned bytes: it begins with {0:02x?}, not with [00, 00, 08]")]
    Magic([u8; 4]),
    #[error("it has {found} dimensions, and not {expected}")]
    Dimensions { expected: usize, found: usize },
    #[error("its header says {expected} bytes, but {found} follow: it is truncated or damaged")]
    Length { expected: usize, found: usize },
    #[error("its header is cut off: the file has {0} bytes")]
    Header(usize),
}

/// Reads a file, compressed by gzip or not, of `dimensions` dimensions.
pub fn read(path: &Path, dimensions: usize) -> Result<Idx, IdxError> {
    let failed = |error: std::io::Error| IdxError::Read(error.to_string());
    let mut stored = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut stored)).map_err(failed)?;
    if !stored.starts_with(&GZIP) {
        return parse(&stored, dimensions);
    }
    let mut bytes = Vec::new();
    let broken = |error| IdxError::Read(format!("gzip: {error}: it is truncated or damaged"));
    GzDecoder::new(stored.as_slice()).read_to_end(&mut bytes).map_err(broken)?;
    parse(&bytes, dimensions)
}

/// Parses a whole file.
pub fn parse(file: &[u8], dimensions: usize) -> Result<Idx, IdxError> {
    let word = |index: usize| file.get(4 * index..)?.first_chunk::<4>();
    let magic = *word(0).ok_or(IdxError::Header(file.len()))?;
    let [0, 0, BYTES, count] = magic else { return Err(IdxError::Magic(magic)) };
    if usize::from(count) != dimensions {
        return Err(IdxError::Dimensions { expected: dimensions, found: count.into() });
    }
    let lengths = (1..=dimensions).map(|index| word(index).map(|&word| u32::from_be_bytes(word)));
    let lengths: Vec<u32> = lengths.collect::<Option<_>>().ok_or(IdxError::Header(file.len()))?;
    let lengths: Vec<usize> = lengths.into_iter().map(|length| length as usize).collect();
    let bytes = &file[4 * (1 + dimensions)..];
    // A product that overflows is more than any file has.
    let expected = lengths.iter().try_fold(1, |all: usize, &length| all.checked_mul(length));
    let expected = expected.unwrap_or(usize::MAX);
    if bytes.len() != expected {
        return Err(IdxError::Length { expected, found: bytes.len() });
    }
    Ok(Idx { dimensions: lengths, bytes: bytes.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two images of 2 x 3.
    fn images() -> Vec<u8> {
        let mut file = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3];
        file.extend(0..12);
        file
    }

    #[test]
    fn a_file_is_its_dimensions_and_bytes() {
        let idx = Idx { dimensions: vec![2, 2, 3], bytes: (0..12).collect() };
        assert_eq!(parse(&images(), 3), Ok(idx));
        let empty = Idx { dimensions: vec![0], bytes: vec![] };
        assert_eq!(parse(&[0, 0, 8, 1, 0, 0, 0, 0], 1), Ok(empty));
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(parse(b"P5 28 28", 3), Err(IdxError::Magic(*b"P5 2")));
        // Floats, and not bytes.
        assert_eq!(parse(&[0, 0, 13, 1, 0, 0, 0, 0], 1), Err(IdxError::Magic([0, 0, 13, 1])));
        assert_eq!(parse(&images(), 1), Err(IdxError::Dimensions { expected: 1, found: 3 }));
    }

    #[test]
    fn truncated_files_are_found_wherever_they_end() {
        let file = images();
        for end in 0..16 {
            assert_eq!(parse(&file[..end], 3), Err(IdxError::Header(end)), "{end}");
        }
        for end in 16..file.len() {
            let error = IdxError::Length { expected: 12, found: end - 16 };
            assert_eq!(parse(&file[..end], 3), Err(error));
        }
        let long = [file, vec![0]].concat();
        assert_eq!(parse(&long, 3), Err(IdxError::Length { expected: 12, found: 13 }));
    }

    #[test]
    fn lengths_that_overflow_are_an_error() {
        let mut file = vec![0, 0, 8, 3];
        file.extend([0xff; 12]);
        assert!(matches!(parse(&file, 3), Err(IdxError::Length { found: 0, .. })));
    }
}
