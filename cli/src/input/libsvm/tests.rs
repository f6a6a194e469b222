//! Tests of reading LIBSVM text. Expected values are what a person reads in the text.

use super::*;

fn read(text: &[u8]) -> Result<SparseText, LibsvmError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows.svm");
    std::fs::write(&path, text).unwrap();
    SparseText::read(TextFile::open(&path)?)
}

fn rows(text: &[u8]) -> Vec<(f32, Vec<u32>, Vec<f32>)> {
    let (data, _) = read(text).unwrap().into_dataset(None).unwrap();
    (0..data.rows())
        .map(|row| {
            let (entries, values) = data.row(row);
            (data.target()[row], entries.to_vec(), values.to_vec())
        })
        .collect()
}

#[test]
fn the_same_rows_in_every_dress() {
    let texts: [&[u8]; 5] = [
        b"1 1:0.5 7:-2\n-1\n0.25 3:4\n",
        b"+1 1:.5 7:-2.0\r\n-1 \r\n2.5e-1 3:4",
        b"# a comment\n\n1\t1:5e-1\t 7:-2 # 9:9\n  -1#\n0.25 3:+4\n\n",
        b"\xEF\xBB\xBF1 qid:3 1:0.5 7:-2\n-1 qid:4\n0.25 qid:3 3:4\n",
        b"1.000 001:0.50000000000000000000 7:-2\n-1\n.25 3:4.\n",
    ];
    let expected = vec![
        (1.0, vec![0, 6], vec![0.5, -2.0]),
        (-1.0, vec![], vec![]),
        (0.25, vec![2], vec![4.0]),
    ];
    for text in texts {
        assert_eq!(rows(text), expected, "{}", String::from_utf8_lossy(text));
    }
}

/// The fast path against the standard library, at halfway points, ends of the range and in between.
#[test]
fn numbers_are_rounded_once() {
    let mut texts: Vec<String> =
        ["16777217", "0.000000059604645", "33554433.0", "1.00000005960464477", "8388609.5"]
            .map(str::to_owned)
            .to_vec();
    texts.extend(
        ["1e-40", "3.4028235e38", "0.0000000000000", "-0", "123456789012345", "0.1"]
            .map(str::to_owned),
    );
    let mut state = 1_u64;
    for length in 0..20_000 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let digits = (state >> 11).to_string();
        let digits = &digits[..1 + length % (digits.len() - 1)];
        let (whole, fraction) = digits.split_at(digits.len() * (length % 3) / 3);
        texts.push(format!("{whole}.{fraction}"));
    }
    let lines: String = texts.iter().map(|text| format!("0 1:{text}\n")).collect();
    for (text, (_, _, values)) in texts.iter().zip(rows(lines.as_bytes())) {
        let expected: f32 = text.parse().unwrap();
        assert_eq!(values[0].to_bits(), expected.to_bits(), "{text}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let cases = [
        ("1 a:2", 3, "\"a:2\" has an index that is not a number"),
        ("1 1.5:2", 3, "has an index that is not a number"),
        ("1 :2", 3, "has an index that is not a number"),
        ("1 2:1 1:1", 7, "\"1:1\" has a smaller index"),
        ("1 2:1 2:3", 7, "\"2:3\" repeats the index"),
        ("1 0:1", 3, "\"0:1\" has index 0"),
        ("1 -3:1", 3, "\"-3:1\" has a negative index"),
        ("1 268435457:1", 3, "above the maximum, 268435456"),
        ("1 99999999999999999999:1", 3, "above the maximum"),
        ("1 3", 3, "\"3\" is not a feature"),
        ("1 3:", 3, "\"3:\" has a value that is not a number"),
        ("1 3:x", 3, "has a value that is not a number"),
        ("1 3:1:2", 3, "has a value that is not a number"),
        ("1 3:nan", 3, "is not finite"),
        ("1 3:1e39", 3, "\"3:1e39\" is beyond the largest number"),
        ("cat 3:1", 1, "\"cat\" is not a label"),
        ("inf 3:1", 1, "is not finite"),
        ("1,2 3:1", 1, "\"1,2\" is not a label"),
    ];
    for (line, byte, expected) in cases {
        let text = format!("1 1:1\n\n# comment\n{line}\n1 1:1\n");
        let error = read(text.as_bytes()).map(|_| ()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(&format!("rows.svm, line 4, byte {byte}: ")), "{message}");
        assert!(message.contains(expected), "{message}");
        assert!(!error.run_failed());
    }
    let long = format!("1 {}:1\n", "x".repeat(100));
    let message = read(long.as_bytes()).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains(&format!("{}...", "x".repeat(40))), "{message}");
}

#[test]
fn no_rows_and_no_features() {
    for text in ["", "# nothing\n", "\n\n"] {
        assert!(read(text.as_bytes()).map(|_| ()).unwrap_err().to_string().contains("no row"));
    }
    let empty = read(b"1\n-1\n").unwrap().into_dataset(None).unwrap_err();
    assert!(empty.to_string().contains("no row has a feature"), "{empty}");
}

/// Portions end within lines, and one line is longer than a portion.
#[test]
fn text_longer_than_a_portion_is_cut_between_lines() {
    let count = 3 * PIECE_BYTES * rayon::current_num_threads() / 20;
    let long: String = (1..=count as u32).map(|index| format!(" {index}:1")).collect();
    let mut text = format!("7{long}\n");
    for row in 0..count {
        text.push_str(&format!("{} {}:0.5 # a comment\n", row % 5, row + 1));
    }
    let fault = format!("{text}1 x:1\n");
    let (data, _) = read(text.as_bytes()).unwrap().into_dataset(None).unwrap();
    assert_eq!(
        (data.rows(), data.feature_count(), data.entry_count()),
        (count + 1, count, 2 * count)
    );
    assert_eq!((data.target()[0], data.row(0).0.len()), (7.0, count));
    for row in [1, count / 2, count] {
        let entries = [row as u32 - 1];
        assert_eq!(data.row(row), (entries.as_slice(), [0.5].as_slice()));
        assert_eq!(data.target()[row], ((row - 1) % 5) as f32);
    }
    let message = read(fault.as_bytes()).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains(&format!("line {},", count + 2)), "{message}");
}

#[test]
fn labels_become_classes_in_ascending_order() {
    let mut text = read(b"2 1:1\n1\n+2 2:1\n").unwrap();
    let classes = text.classify().unwrap();
    assert_eq!(classes.0, [Label::Number(1.0), Label::Number(2.0)]);
    assert_eq!(text.labels, [1.0, 0.0, 1.0]);
    let third = read(b"1 1:1\n0\n\n2\n").unwrap().classify().unwrap_err().to_string();
    assert!(third.contains("rows.svm, line 4: 2 is a third class, besides 1 and 0"), "{third}");
    let one = read(b"1 1:1\n1\n").unwrap().classify().unwrap_err().to_string();
    assert!(one.contains("only class 1"), "{one}");
}

#[test]
fn features_beyond_those_wanted_are_left_out_and_counted() {
    let text = read(b"1 1:1 3:3\n0 4:4 5:5\n1 2:2\n").unwrap();
    let (data, dropped) = text.into_dataset(Some(3)).unwrap();
    assert_eq!((data.feature_count(), dropped), (3, 2));
    assert_eq!(data.row(0), ([0, 2].as_slice(), [1.0, 3.0].as_slice()));
    assert_eq!((data.row(1).0.len(), data.row(2).0), (0, [1].as_slice()));
    let more = read(b"1 1:1\n").unwrap().into_dataset(Some(9)).unwrap();
    assert_eq!((more.0.feature_count(), more.1), (9, 0));
}
