//! Tests of reading tables. Expected values are what a person reads in the text.

use super::*;

fn open(text: &[u8]) -> Result<Table, TableError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("table.txt");
    std::fs::write(&path, text).unwrap();
    Table::new(TextFile::open(&path)?)
}

fn read(text: &[u8]) -> Result<(Vec<String>, Array2<f32>), TableError> {
    let table = open(text)?;
    table.refuse_same_names(|_| true)?;
    let names = table.names().to_vec();
    let columns: Vec<usize> = (0..names.len()).collect();
    table.read(&columns, None).map(|(matrix, _)| (names, matrix))
}

fn message(text: &[u8]) -> String {
    let error = read(text).unwrap_err();
    assert!(!error.run_failed());
    error.to_string()
}

#[test]
fn the_same_table_in_every_dress() {
    let texts: [&[u8]; 9] = [
        b"a,b\n1,2\n3,4.5\n",
        b"a,b\r\n1,2\r\n3,4.5\r\n",
        b"a\tb\n1\t2\n3\t4.5",
        b"a;b\n1;2\n3;4.5\n\n\n",
        b"\n\na b\n\n1   2\n  3 \t 4.5  \n",
        b"\xEF\xBB\xBFa, b\n1, 2\n \n3, 4.5\n",
        b"\"a\",\"b\"\n\"1\",2\n+3,4500e-3",
        b"a,b\r\n\r\n1,2\r\n \r\n3,4.5",
        b"a b\r\n1 2 \r\n3 4.5 \r\n",
    ];
    for text in texts {
        let (names, matrix) = read(text).unwrap();
        assert_eq!(names, ["a", "b"], "{}", String::from_utf8_lossy(text));
        assert_eq!(matrix, ndarray::array![[1.0, 2.0], [3.0, 4.5]]);
    }
}

#[test]
fn without_a_header_columns_are_named_by_index() {
    let (names, matrix) = read(b"1 2 3\n").unwrap();
    assert_eq!(names, ["x0", "x1", "x2"]);
    assert_eq!(matrix.shape(), [1, 3]);
}

/// The index column that spreadsheets' exports begin with has no name.
#[test]
fn a_nameless_column_is_named_by_index() {
    assert_eq!(read(b",b\n1,2\n").unwrap().0, ["x0", "b"]);
}

#[test]
fn other_columns_may_hold_text() {
    let table = open(b"id,a,b\nfirst,1,2\nsecond,3,4\n").unwrap();
    let (matrix, target) = table.read(&[1], Some(2)).unwrap();
    assert_eq!((matrix, target), (ndarray::array![[1.0], [3.0]], ndarray::array![2.0, 4.0]));
}

#[test]
fn errors_name_line_column_and_text() {
    let cases: [(&[u8], &[&str]); 20] = [
        (b"", &["empty"]),
        (b" \n\r\n", &["empty"]),
        (b"a,b\n", &["header (line 1)", "no row"]),
        (b"a,b\n1,2\n\n1,2,3\n", &["line 4", "3 columns", "line 1 has 2"]),
        (b"1,2\r\n\r\n\r\n1,x\r\n", &["line 4", "column 2 (x1)", "\"x\" is not a number"]),
        (b"a,b\n1,2\n3,", &["line 3", "column 2 (b)", "\"\" is not a number"]),
        (b"a,b\n1,NaN\n", &["line 2", "column 2 (b)", "\"NaN\"", "missing"]),
        (b"a,b\n-inf,1\n", &["line 2", "column 1 (a)", "\"-inf\"", "infinite"]),
        (b"a,b\n1e39,1\n", &["line 2", "column 1 (a)", "\"1e39\"", "largest"]),
        (b"a;b\n1,5;2\n", &["line 2", "\"1,5\"", "decimal point"]),
        (b"a,b\n1,2\n\n3,\"4\n5,6\n7,8\n", &["line 4", "not closed"]),
        (b"a b\n1 2\n\n\"3 4\n5 6\n7 8", &["line 4", "not closed"]),
        (b"\"a,b\n1,2\n", &["line 1", "not closed"]),
        (b"a,b\n\"1\n\n\",\"x\ny\"\n", &["line 2, column 2 (b)", "not a number"]),
        (b"a,b\n1,2\n\"3\n\"\n5,6\n", &["line 3", "1 columns"]),
        (b"a,b\n1,2,\n", &["line 2", "separator at the end"]),
        (b"# made by hand\na,b\n1,2\n", &["comments are not supported"]),
        (b"a,b\n# x\n1,2\n", &["line 2", "comments are not supported"]),
        (b"a\x1b,b\nx,2\n", &["(a\\u{1b})", "not a number"]),
        (b"a,b,a\n1,2,3\n", &["columns 1 and 3", "\"a\"", "rename"]),
    ];
    for (text, parts) in cases {
        let message = message(text);
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    }
}

/// If it were read as a header, the row would be lost without an error.
#[test]
fn text_in_the_first_row_of_numbers_is_an_error() {
    assert!(message(b"1,two,3\n4,5,6\n").contains("line 1, column 2 (x1): \"two\""));
}

#[test]
fn binary_files_are_refused() {
    assert!(message(b"PK\x03\x04\x00\x00").contains("not plain text"));
}

/// More than one sample, so that the boundary between the sample and the rest is crossed.
#[test]
fn long_files_keep_every_row_and_their_line_numbers() {
    let mut text: Vec<u8> =
        (0..20_000).flat_map(|i| format!("{i} {}\n", 2 * i).into_bytes()).collect();
    let (_, matrix) = read(&text).unwrap();
    assert_eq!(matrix.nrows(), 20_000);
    assert!(matrix.rows().into_iter().enumerate().all(|(i, row)| row[0] == i as f32));
    text.extend_from_slice(b"1 oops\n");
    assert!(message(&text).contains("line 20001, column 2"));
}

#[test]
fn only_names_that_matter_must_differ() {
    let table = open(b"a,b,b,c\n1,2,3,4\n").unwrap();
    table.refuse_same_names(|name| name != "b").unwrap();
    table.refuse_same_names(|name| name == "b").unwrap_err();
}
