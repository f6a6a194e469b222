//! Parses rows of LIBSVM text.

/// The largest index. Every index up to the largest one has a weight, of which a training run keeps
/// several copies of 4 bytes.
pub(crate) const MAX_FEATURES: u32 = 1 << 28;
/// The maximum length of the text that an error quotes.
const SHOWN_BYTES: usize = 40;

/// The rows of a piece of text.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// Where each row's entries end, counted from the piece's first.
    pub(super) ends: Vec<usize>,
    /// Features, counted from 0, and their values.
    pub(super) entries: Vec<u32>,
    pub(super) values: Vec<f32>,
    pub(super) labels: Vec<f32>,
    /// The first labels that differ, at most three, with their lines.
    pub(super) classes: Vec<(f32, u64)>,
    /// The largest index.
    pub(super) features: u32,
    pub(super) lines: u64,
    /// Where reading ended early.
    pub(super) fault: Option<Fault>,
}

/// Where a text is wrong, and how.
#[derive(Debug)]
pub(super) struct Fault {
    /// The line, counted from 1.
    pub(super) line: u64,
    /// Its byte, counted from 1, where `text` begins.
    pub(super) byte: usize,
    pub(super) text: String,
    pub(super) kind: ParseFault,
}

/// What is wrong with a text, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseFault {
    #[error("is not a label: a line begins with a number")]
    Label,
    #[error("is not a feature: write index:value")]
    NoColon,
    #[error("has an index that is not a number: give a whole number of at least 1")]
    Index,
    #[error("has index 0: indices start at 1; add 1 to all of them")]
    Zero,
    #[error("has a negative index: indices start at 1")]
    Negative,
    #[error(
        "has an index above the maximum, {MAX_FEATURES}: renumber the features without gaps, or \
         hash them"
    )]
    TooLarge,
    #[error("repeats the index before it: give each feature one value")]
    Repeated,
    #[error("has a smaller index than the one before it: sort the features of the line")]
    Unordered,
    #[error("has a value that is not a number: correct it, or leave the feature out")]
    Value,
    #[error("is not finite: give a finite number, or leave it out")]
    NotFinite,
    #[error("is beyond the largest number that fits (3.4e38): scale it")]
    Overflow,
    #[error("comes after as many rows as fit in memory")]
    OutOfMemory,
}

/// Parses `text`, which consists of whole lines.
pub(super) fn parse(text: &[u8]) -> Piece {
    // A feature usually takes a dozen bytes. If this is too little, the vectors grow.
    let (entries, rows) = (text.len() / 12, text.len() / 256);
    let mut piece = Piece::default();
    let _ = piece.entries.try_reserve(entries).and_then(|()| piece.values.try_reserve(entries));
    let _ = piece.ends.try_reserve(rows).and_then(|()| piece.labels.try_reserve(rows));
    let mut at = 0;
    while at < text.len() {
        let start = at;
        piece.lines += 1;
        match line(text, at, &mut piece) {
            Ok(next) => at = next,
            Err((begin, kind)) => {
                let token = &text[begin..end_of_token(text, begin)];
                let shown = &token[..token.len().min(SHOWN_BYTES)];
                let mut shown = String::from_utf8_lossy(shown).into_owned();
                if token.len() > SHOWN_BYTES {
                    shown.push_str("...");
                }
                let (line, byte) = (piece.lines, begin - start + 1);
                piece.fault = Some(Fault { line, byte, text: shown, kind });
                break;
            }
        }
    }
    piece
}

/// The position of a fault, and its kind.
type Wrong = (usize, ParseFault);

/// Parses the line that begins at `at`; returns where the next one begins.
fn line(text: &[u8], at: usize, piece: &mut Piece) -> Result<usize, Wrong> {
    let mut at = skip_blanks(text, at);
    if ends_line(text, at) {
        return Ok(next_line(text, at));
    }
    let (label, behind) = number(text, at, at, ParseFault::Label)?;
    at = skip_blanks(text, behind);
    if text[at..].starts_with(b"qid:") {
        at = skip_blanks(text, end_of_token(text, at));
    }
    let mut previous = 0;
    while !ends_line(text, at) {
        let (index, behind) = feature(text, at)?;
        if index <= previous {
            let repeated = index == previous;
            return Err((at, if repeated { ParseFault::Repeated } else { ParseFault::Unordered }));
        }
        let (value, behind) = number(text, behind, at, ParseFault::Value)?;
        push(&mut piece.entries, index - 1, at)?;
        push(&mut piece.values, value, at)?;
        previous = index;
        at = skip_blanks(text, behind);
    }
    piece.features = piece.features.max(previous);
    let end = piece.entries.len();
    push(&mut piece.ends, end, at)?;
    push(&mut piece.labels, label, at)?;
    let known = piece.classes.iter().any(|&(class, _)| class == label);
    if !known && piece.classes.len() < 3 {
        piece.classes.push((label, piece.lines));
    }
    Ok(next_line(text, at))
}

/// Appends the value at `at`, if there is memory for it.
#[inline(always)]
fn push<T>(values: &mut Vec<T>, value: T, at: usize) -> Result<(), Wrong> {
    if values.len() == values.capacity() {
        values.try_reserve(1).map_err(|_| (at, ParseFault::OutOfMemory))?;
    }
    values.push(value);
    Ok(())
}

/// The index at `at`, and where its value begins.
#[inline(always)]
fn feature(text: &[u8], at: usize) -> Result<(u32, usize), Wrong> {
    let mut index = 0_u32;
    let mut end = at;
    while let Some(digit) = digit(text, end) {
        index = index.saturating_mul(10).saturating_add(digit);
        end += 1;
    }
    if end == at || text.get(end) != Some(&b':') {
        return Err((at, wrong_feature(text, at)));
    }
    match index {
        0 => Err((at, ParseFault::Zero)),
        1..=MAX_FEATURES => Ok((index, end + 1)),
        _ => Err((at, ParseFault::TooLarge)),
    }
}

/// What is wrong with the feature at `at`, whose index is not all digits before a colon.
#[cold]
fn wrong_feature(text: &[u8], at: usize) -> ParseFault {
    let token = &text[at..end_of_token(text, at)];
    let Some(colon) = token.iter().position(|&byte| byte == b':') else {
        return ParseFault::NoColon;
    };
    let digits = token[..colon].strip_prefix(b"-");
    match digits {
        Some(digits) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            ParseFault::Negative
        }
        _ => ParseFault::Index,
    }
}

/// Powers of ten that f64 holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The number at `at`, rounded once, and where it ends. Errors name the place `reported_at`.
#[inline(always)]
fn number(
    text: &[u8],
    at: usize,
    reported_at: usize,
    problem: ParseFault,
) -> Result<(f32, usize), Wrong> {
    let negative = text.get(at) == Some(&b'-');
    let first = at + usize::from(negative);
    let (mut mantissa, mut end, mut fraction) = (0_u64, first, 0);
    while let Some(digit) = digit(text, end) {
        mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        end += 1;
    }
    let mut digits = end - first;
    if text.get(end) == Some(&b'.') {
        end += 1;
        let point = end;
        while let Some(digit) = digit(text, end) {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            end += 1;
        }
        fraction = end - point;
        digits += fraction;
    }
    // 15 digits are below 2^53, and then the quotient is rounded once. Rounding it again, to f32, is
    // the same as rounding once unless it lies halfway between two f32.
    if (1..=15).contains(&digits) && ends_token(text, end) {
        let value = mantissa as f64 / POWERS[fraction];
        let halfway = value.to_bits() & 0x1fff_ffff == 0x1000_0000;
        let normal = value >= f64::from(f32::MIN_POSITIVE) || mantissa == 0;
        if normal && !halfway {
            let value = value as f32;
            return Ok((if negative { -value } else { value }, end));
        }
    }
    slow_number(text, at, reported_at, problem)
}

/// The same for numbers in any form.
#[cold]
fn slow_number(
    text: &[u8],
    at: usize,
    reported_at: usize,
    problem: ParseFault,
) -> Result<(f32, usize), Wrong> {
    let end = end_of_token(text, at);
    let token = &text[at..end];
    let parsed = std::str::from_utf8(token).ok().and_then(|token| token.parse::<f32>().ok());
    match parsed {
        Some(value) if value.is_finite() => Ok((value, end)),
        Some(_) if token.iter().any(u8::is_ascii_digit) => Err((reported_at, ParseFault::Overflow)),
        Some(_) => Err((reported_at, ParseFault::NotFinite)),
        None => Err((reported_at, problem)),
    }
}

#[inline(always)]
fn digit(text: &[u8], at: usize) -> Option<u32> {
    let digit = text.get(at)?.wrapping_sub(b'0');
    (digit < 10).then_some(u32::from(digit))
}

#[inline(always)]
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

#[inline(always)]
fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(|&byte| is_blank(byte)) {
        at += 1;
    }
    at
}

/// Whether nothing but a comment is left of the line.
#[inline(always)]
fn ends_line(text: &[u8], at: usize) -> bool {
    matches!(text.get(at), None | Some(b'\n' | b'#'))
}

#[inline(always)]
fn ends_token(text: &[u8], at: usize) -> bool {
    ends_line(text, at) || is_blank(text[at])
}

fn end_of_token(text: &[u8], mut at: usize) -> usize {
    while !ends_token(text, at) {
        at += 1;
    }
    at
}

/// Where the next line begins.
fn next_line(text: &[u8], at: usize) -> usize {
    let end = text[at..].iter().position(|&byte| byte == b'\n');
    end.map_or(text.len(), |end| at + end + 1)
}
