//! Texts that are read: preserved state, deltas to merge, whole buffers.

use heka_circular_buffer::{Aggregation, AnnotationKind, CircularBuffer, Format, TextHeader};

use crate::{buffer, delta_buffer, header, preserved, rows, state, text};

fn restore_error(buffer: &mut CircularBuffer, text: &str) -> String {
    let before = preserved(buffer, "k");
    let error = buffer.restore(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(preserved(buffer, "k"), before, "an error changes nothing");
    error
}

#[test]
fn restoring_says_what_does_not_fit() {
    let few = |found| format!("fromstring() too few values: {found}, expected 2");
    let many = "fromstring() too many values, more than: 2";
    let mut cb = buffer(2, 1, 1);
    assert_eq!(restore_error(&mut cb, ""), few(0));
    assert_eq!(restore_error(&mut cb, "1 1"), few(0));
    assert_eq!(restore_error(&mut cb, "1 1 5"), few(1));
    assert_eq!(restore_error(&mut cb, "1 1 5 x"), few(1));
    assert_eq!(restore_error(&mut cb, "1 1 5 6 7"), many);
    assert_eq!(restore_error(&mut cb, "1 1 5 6 x"), many);
    for text in
        ["x 1 5 6", "1 x 5 6", "1 2 5 6", "1 -1 5 6", "1.5 1 5 6", "4611686018427387904 1 5 6"]
    {
        assert_eq!(restore_error(&mut cb, text), "fromstring() invalid time/row", "{text}");
    }
    let mut cb = delta_buffer(2, 1, 1);
    cb.add(0.0, 1, 1.0).unwrap();
    for text in ["1 1 5 6 7", "1 1 5 6 0 1 x", "1 1 5 6 nan 1", "1 1 5 6 inf 1", "1 1 5 6 0 1 2"] {
        assert_eq!(restore_error(&mut cb, text), "fromstring() invalid delta", "{text}");
    }
    assert_eq!(
        restore_error(&mut cb, "1 1 5 6 4611686018427387904 1"),
        "fromstring() invalid delta"
    );
    cb.restore(b"1 1 5 6 4611686018427387903 1 1e0 7").unwrap();
    assert!(preserved(&cb, "k").contains("\"1 1 5 6 4611686018427387903 1 1 7\""));
    cb.restore(b"  1\t1\n5   6 ").unwrap();
    assert_eq!(text(&mut cb), "");
    cb.restore(b"1 1 inf -inf").unwrap();
    cb.restore(b"-5 0 nan 1").unwrap();
    assert_eq!(cb.current_time(), -5e9);
    assert_eq!(cb.get(-5e9, 1).unwrap().map(f64::is_nan), Some(true));
    assert_eq!(cb.get(-6e9, 1).unwrap(), Some(1.0));
}

#[test]
fn the_current_row_tells_where_the_newest_one_lies() {
    // A state of a buffer whose rows were shorter: the order of rows stays.
    let mut cb = buffer(3, 1, 60);
    cb.restore(b"125 0 3 1 2").unwrap();
    assert_eq!(rows(&mut cb), ["1", "2", "3"]);
    assert_eq!(cb.current_time(), 120e9);
    cb.set(180e9, 1, 4.0).unwrap();
    assert_eq!(rows(&mut cb), ["2", "3", "4"]);
    assert_eq!(state(&preserved(&cb, "k")), "180 1 3 4 2");
}

#[test]
fn changes_survive_preserving() {
    let mut cb = delta_buffer(3, 3, 10);
    header(&mut cb, 2, "Min", Aggregation::Min);
    header(&mut cb, 3, "Max", Aggregation::Max);
    cb.set(20e9, 2, 0.0).unwrap();
    cb.set(10e9, 3, -2.5).unwrap();
    cb.add(0.0, 1, 4.0).unwrap();
    let saved = preserved(&cb, "k");
    assert_eq!(
        state(&saved),
        "20 2 4 nan nan nan nan -2.5 nan 0 nan 0 4 0 0 10 0 0 -2.5 20 0 -0 0"
    );
    let mut again = delta_buffer(3, 3, 10);
    header(&mut again, 2, "Min", Aggregation::Min);
    header(&mut again, 3, "Max", Aggregation::Max);
    again.restore(state(&saved).as_bytes()).unwrap();
    assert_eq!(rows(&mut again), ["0\t4\tnan\tnan", "10\tnan\tnan\t-2.5", "20\tnan\t0\tnan"]);
}

#[test]
fn rows_that_the_window_left_are_still_told() {
    let mut cb = delta_buffer(3, 1, 1);
    for second in [0, 10, 20, 19, 30] {
        cb.add(f64::from(second) * 1e9, 1, 1.0).unwrap();
    }
    // There is room for three rows.
    let saved = preserved(&cb, "k");
    assert_eq!(rows(&mut cb), ["19\t1", "20\t1", "30\t1"]);
    cb.restore(state(&saved).as_bytes()).unwrap();
    assert_eq!(rows(&mut cb), ["19\t1", "20\t1", "30\t1"]);
    // Heka writes rows in the order of a hash; they are sorted again. Of too many the first are left out.
    cb.restore(b"30 0 nan nan nan 10 1 20 2 30 4 19 3").unwrap();
    assert_eq!(rows(&mut cb), ["19\t3", "20\t2", "30\t4"]);
}

#[test]
fn changes_of_a_whole_window_and_beyond() {
    let mut cb = delta_buffer(4, 1, 1);
    for second in 0..100 {
        cb.add(f64::from(second) * 1e9, 1, f64::from(second)).unwrap();
        cb.add((f64::from(second) - 3.0) * 1e9, 1, 1.0).unwrap();
    }
    assert_eq!(rows(&mut cb), ["96\t97", "97\t97", "98\t98", "99\t99"]);
    assert_eq!(text(&mut cb), "");
}

#[test]
fn merging_follows_the_aggregation() {
    let mut source = delta_buffer(3, 4, 60);
    header(&mut source, 2, "Min", Aggregation::Min);
    header(&mut source, 3, "Max", Aggregation::Max);
    header(&mut source, 4, "None", Aggregation::None);
    for column in 1..=4 {
        source.set(0.0, column, column as f64).unwrap();
    }
    source.set(60e9, 3, 9.0).unwrap();
    let output = text(&mut source);

    let (first, body) = TextHeader::parse(output.as_bytes()).unwrap();
    assert_eq!((first.time, first.rows, first.seconds_per_row), (0, 3, 60));
    assert_eq!(first.memory(true), CircularBuffer::memory_for(3, 4, true));
    let mut sum = first.buffer(true).unwrap();
    assert_eq!(sum.get_header(2).unwrap().name(), "Min");
    assert_eq!(sum.merge_deltas(body).unwrap(), 2);
    assert_eq!(sum.merge_deltas(body).unwrap(), 2);
    let wanted = ["2\t2\t3\tnan", "nan\tnan\t9\tnan", "nan\tnan\tnan\tnan"];
    assert_eq!(rows(&mut sum), wanted);
    sum.set_format(Format::Cbufd);
    assert_eq!(rows(&mut sum), ["0\t2\t2\t3\tnan", "60\tnan\tnan\t9\tnan"]);

    // Newer rows move the window on, older ones are left out.
    sum.merge_deltas(b"600\t1\tnan\tnan\tnan\n0\t1\t1\t1\t1").unwrap();
    assert_eq!(rows(&mut sum), ["600\t1\tnan\tnan\tnan"]);
}

#[test]
fn merging_is_all_or_nothing() {
    let mut cb = buffer(2, 1, 1);
    for (body, line) in [("0\t1\n1\n", 3), ("0\tx", 2), ("0\t1\t2", 2), ("0\t1\n\n1\t1\nx", 4)] {
        let error = cb.merge_deltas(body.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, format!("invalid circular buffer row in line {line}"));
    }
    assert_eq!(rows(&mut cb), ["nan", "nan"]);
    assert_eq!(cb.merge_deltas(b"").unwrap(), 0);
    assert_eq!(cb.merge_deltas(b"inf\t1\nnan\t2").unwrap(), 2);
    assert_eq!(rows(&mut cb), ["nan", "nan"]);
}

#[test]
fn headers_that_are_none() {
    let parse =
        |text: &str| TextHeader::parse(text.as_bytes()).map(|_| ()).unwrap_err().to_string();
    assert_eq!(parse(""), "invalid circular buffer header");
    assert_eq!(parse("[]\n1\t2"), "invalid circular buffer header");
    let start = r#"{"time":0,"rows":3,"columns":2,"seconds_per_row":60,"column_info":"#;
    let columns = parse(&format!("{start}[]}}\n"));
    assert_eq!(columns, "circular buffer header has 0 columns, not 2");
    let one = r#"{"name":"a","aggregation":"avg"}"#;
    assert_eq!(parse(&format!("{start}[{one},{one}]}}")), "invalid option 'avg'");
    let large = r#"{"time":9223372036854775807,"rows":3,"columns":0,"seconds_per_row":60,"column_info":[]}"#;
    assert_eq!(parse(large), "circular buffer header has an invalid time");
    let huge = r#"{"time":0,"rows":9223372036854775807,"columns":1,"seconds_per_row":60,"column_info":[{"name":"a"}]}"#;
    let (huge, _) = TextHeader::parse(huge.as_bytes()).unwrap();
    assert_eq!(huge.memory(false), None);
    assert_eq!(huge.buffer(false).unwrap_err().to_string(), "not enough memory");
}

#[test]
fn a_cbuf_is_read_as_written() {
    let mut cb = buffer(3, 2, 60);
    cb.set(600e9, 1, 1.5).unwrap();
    cb.set(540e9, 2, f64::INFINITY).unwrap();
    let output = text(&mut cb);
    let mut again = CircularBuffer::parse(output.as_bytes(), 1000).unwrap();
    assert_eq!(text(&mut again), output);
    assert_eq!(again.get(600e9, 1).unwrap(), Some(1.5));
    assert_eq!(again.current_time(), 600e9);

    let error = |text: &str| CircularBuffer::parse(text.as_bytes(), 1000).unwrap_err().to_string();
    assert_eq!(error(&format!("{output}nan\tnan\n")), "invalid circular buffer row in line 5");
    assert_eq!(error(&output.replace("\tinf", "\tx")), "invalid circular buffer row in line 3");
    assert_eq!(error(&output.replace("\tinf", "\t1\t1")), "invalid circular buffer row in line 3");
    assert_eq!(
        error(output.trim_end().rsplit_once('\n').unwrap().0),
        "invalid circular buffer row in line 4"
    );
    let memory = CircularBuffer::memory_for(3, 2, false).unwrap();
    assert!(CircularBuffer::parse(output.as_bytes(), memory).is_ok());
    assert!(CircularBuffer::parse(output.as_bytes(), memory - 1).is_err());
}

#[test]
fn annotations_are_told_and_preserved() {
    let mut cb = delta_buffer(2, 2, 60);
    let remark = b"annotation\"\t\r\n\xf0\\ end";
    cb.annotate(0.0, 1, AnnotationKind::Info, remark, true).unwrap();
    cb.annotate(60e9, 2, AnnotationKind::Alert, b"alert", false).unwrap();
    cb.annotate(120e9, 2, AnnotationKind::Info, b"outside", true).unwrap();
    let saved = preserved(&cb, "k");
    let statements = concat!(
        "k:annotate(0, 1, \"info\", \"annotation\\\"\t\\r\\n\u{fffd}\\\\ end\", true)\n",
        "k:annotate(60000000000, 2, \"alert\", \"alert\", false)\n",
    );
    assert!(saved.ends_with(statements), "{saved}");

    // Of deltas only the new one is told, and once.
    let info = r#"{"x":0,"col":1,"shortText":"i","text":"annotation\"\t\r\n�\\ end"}"#;
    let alert = r#"{"x":60000,"col":2,"shortText":"a","text":"alert"}"#;
    let output = text(&mut cb);
    assert!(output.ends_with(&format!("],\"annotations\":[{info}]}}\n")), "{output}");
    assert_eq!(text(&mut cb), "");
    cb.set_format(Format::Cbuf);
    let output = text(&mut cb);
    assert!(output.contains(&format!("],\"annotations\":[{info},{alert}]}}\n")), "{output}");
    // They go with their row.
    cb.set(120e9, 1, f64::NAN).unwrap();
    assert!(text(&mut cb).contains(&format!("],\"annotations\":[{alert}]}}\n")));
    cb.set(180e9, 1, f64::NAN).unwrap();
    assert!(!text(&mut cb).contains("annotations"));
}
