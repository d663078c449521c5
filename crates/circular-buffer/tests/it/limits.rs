//! Each limit at its edge.

use heka_circular_buffer::{
    ANNOTATION_BYTES_MAX, ANNOTATIONS_BYTES_MAX, Aggregation, AnnotationKind, CircularBuffer,
    Error, Format, Statistic,
};

use crate::{buffer, delta_buffer, rows, text};

fn new_error(rows: i64, columns: i64, seconds: i64) -> String {
    CircularBuffer::new(rows, columns, seconds, false).unwrap_err().to_string()
}

#[test]
fn dimensions() {
    assert_eq!(new_error(1, 0, 0), "rows must be > 1");
    assert_eq!(new_error(i64::MIN, 1, 1), "rows must be > 1");
    assert_eq!(new_error(2, 0, 0), "columns must be > 0");
    assert_eq!(new_error(2, 1, 0), "seconds_per_row is out of range");
    assert_eq!(new_error(2, 1, 1 << 31), "seconds_per_row is out of range");
    assert_eq!(new_error(1 << 31, 1, 1), "not enough memory");
    assert_eq!(new_error(2, 1 << 31, 1), "not enough memory");
    assert_eq!(new_error((1 << 31) - 1, (1 << 31) - 1, 1), "not enough memory");
    let largest_row = buffer(2, 1, (1 << 31) - 1);
    assert_eq!(largest_row.current_time(), 2_147_483_647e9);
}

#[test]
fn memory_is_known_before() {
    assert_eq!(CircularBuffer::memory_for(1440, 3, false), Some(1440 * 3 * 8 + 3 * 28));
    let with_deltas = CircularBuffer::memory_for(1440, 3, true).unwrap();
    assert!(with_deltas < 1440 * 3 * 16 + 3 * 28 + 1440 * 24);
    assert_eq!(CircularBuffer::memory_for(usize::MAX, 2, false), None);
    assert_eq!(CircularBuffer::memory_for(usize::MAX / 16, 1, true), None);
    assert_eq!(CircularBuffer::memory_for(2, usize::MAX / 28, false), None);
    assert_eq!(buffer(1440, 3, 60).memory(), 1440 * 3 * 8 + 3 * 28);
    assert_eq!(delta_buffer(1440, 3, 60).memory(), with_deltas);
}

#[test]
fn columns_count_from_one() {
    let mut cb = buffer(2, 2, 1);
    for column in [0, 3, usize::MAX] {
        let errors = [
            cb.add(0.0, column, 1.0).unwrap_err(),
            cb.set(0.0, column, 1.0).unwrap_err(),
            cb.get(0.0, column).unwrap_err(),
            cb.get_delta(0.0, column).unwrap_err(),
            cb.get_header(column).unwrap_err(),
            cb.set_header(column, b"", b"", Aggregation::Sum).unwrap_err(),
            cb.compute(Statistic::Sum, column, None, None).unwrap_err(),
            cb.mann_whitney_u(column, (0.0, 0.0), (1e9, 1e9), true).unwrap_err(),
            cb.annotate(0.0, column, AnnotationKind::Info, b"", true).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.to_string(), "column out of range");
        }
    }
    // The window moves on before the column is looked at.
    assert!(cb.add(9e9, 3, 1.0).is_err());
    assert_eq!(cb.current_time(), 9e9);
}

#[test]
fn times_without_a_row_are_outside() {
    let mut cb = buffer(2, 1, 1);
    for ns in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 9.3e18, -1.0, -1e18, f64::MAX] {
        assert_eq!(cb.add(ns, 1, 1.0).unwrap(), None, "{ns}");
        assert_eq!(cb.set(ns, 1, 1.0).unwrap(), None, "{ns}");
        assert_eq!(cb.get(ns, 1).unwrap(), None, "{ns}");
    }
    assert_eq!(cb.current_time(), 1e9);
    assert_eq!(cb.add(1.999_999_999e9, 1, 1.0).unwrap(), Some(1.0));
    assert_eq!(cb.add(0.999_999_999e9, 1, 2.0).unwrap(), Some(2.0));
    assert_eq!(rows(&mut cb), ["2", "1"]);
    assert_eq!(cb.add(9.1e18, 1, 1.0).unwrap(), Some(1.0));
    assert_eq!(rows(&mut cb), ["nan", "1"]);
}

#[test]
fn jumps_clear_what_they_pass() {
    for step in 1..8 {
        let mut cb = buffer(3, 1, 1);
        (0..3).for_each(|second| _ = cb.set(f64::from(second) * 1e9, 1, 1.0).unwrap());
        cb.set((2.0 + f64::from(step)) * 1e9, 1, 7.0).unwrap();
        let wanted = match step {
            1 => ["1", "1", "7"],
            2 => ["1", "nan", "7"],
            _ => ["nan", "nan", "7"],
        };
        assert_eq!(rows(&mut cb), wanted, "{step}");
    }
}

#[test]
fn statistics_refuse_ranges_that_end_before_they_start() {
    let cb = buffer(10, 1, 1);
    let error = cb.compute(Statistic::Sum, 1, Some(2e9), Some(1e9)).unwrap_err();
    assert_eq!(error.to_string(), "end must be >= start");
    assert!(matches!(cb.get_range(1, Some(f64::NAN), None), Err(Error::EndBeforeStart)));
    let error = |first, second| cb.mann_whitney_u(1, first, second, true).unwrap_err().to_string();
    assert_eq!(error((5e9, 0.0), (2e9, 7e9)), "end_1 must be >= start_1");
    assert_eq!(error((0.0, 5e9), (9e9, 6e9)), "end_2 must be >= start_2");
    assert_eq!(error((0.0, 5e9), (5e9, 7e9)), "ranges must not overlap");
    assert_eq!(error((3e9, 4e9), (0.0, 7e9)), "ranges must not overlap");
    assert!(cb.mann_whitney_u(1, (6e9, 9e9), (0.0, 5e9), true).is_ok());
}

#[test]
fn texts_end_at_their_limit() {
    let mut cb = delta_buffer(3, 1, 1);
    cb.add(0.0, 1, 1.0).unwrap();
    cb.add(1e9, 1, 1.0).unwrap();
    let mut full = b"before".to_vec();
    cb.write_text(&mut full, usize::MAX).unwrap();
    cb.add(0.0, 1, 1.0).unwrap();
    cb.add(1e9, 1, 1.0).unwrap();
    for bytes_max in 0..full.len() {
        let mut out = b"before".to_vec();
        let error = cb.write_text(&mut out, bytes_max).unwrap_err();
        assert_eq!((error.to_string(), &*out), ("output_limit exceeded".into(), &b"before"[..]));
    }
    let mut out = b"before".to_vec();
    cb.write_text(&mut out, full.len()).unwrap();
    assert_eq!(out, full);
    cb.set_format(Format::Cbuf);
    assert!(cb.write_text(&mut out, full.len() + 10).is_err());
    assert_eq!(out, full);
}

#[test]
fn annotations_are_bounded() {
    let mut cb = buffer(1000, 1, 1);
    let fixed = cb.memory();
    let long = vec![b'x'; ANNOTATION_BYTES_MAX + 10];
    let mut count = 0;
    while cb.annotate(f64::from(count) * 1e9, 1, AnnotationKind::Info, &long, true).is_ok() {
        count += 1;
    }
    assert!(cb.memory() - fixed <= ANNOTATIONS_BYTES_MAX);
    assert!((50..64).contains(&count), "{count}");
    let error = cb.annotate(900e9, 1, AnnotationKind::Info, &long, true).unwrap_err();
    assert_eq!(error.to_string(), "too many annotations");
    // Replacing one is no more, and those that the window leaves behind are gone.
    cb.annotate(0.0, 1, AnnotationKind::Alert, &long, true).unwrap();
    assert_eq!(text(&mut cb).matches("xxx\"").count(), count as usize);
    cb.add(3000e9, 1, 1.0).unwrap();
    assert_eq!(cb.memory(), fixed);
}

#[test]
fn words_are_those_listed() {
    assert_eq!(Format::parse(b"cbufx").unwrap_err().to_string(), "invalid option 'cbufx'");
    assert_eq!(Statistic::parse(b"mean").unwrap_err().to_string(), "invalid option 'mean'");
    assert_eq!(AnnotationKind::parse(b"").unwrap_err().to_string(), "invalid option ''");
    assert_eq!(Format::parse(b"cbuf").unwrap().as_str(), "cbuf");
    assert_eq!(Format::parse(b"cbufd").unwrap().as_str(), "cbufd");
}
