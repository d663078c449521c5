//! What holds for all buffers and texts.

use heka_circular_buffer::{Aggregation, CircularBuffer, Format, Statistic, TextHeader};
use proptest::prelude::*;

use crate::model::Model;
use crate::{preserved, rows, state, text};

#[derive(Debug, Clone)]
enum Action {
    Add(i64, usize, f64),
    Set(i64, usize, f64),
    Tell,
    Preserve,
}

fn aggregation() -> impl Strategy<Value = Aggregation> {
    prop_oneof![
        Just(Aggregation::Sum),
        Just(Aggregation::Min),
        Just(Aggregation::Max),
        Just(Aggregation::None),
    ]
}

/// Numbers whose text tells them exactly.
fn value() -> impl Strategy<Value = f64> {
    (-40..40_i32).prop_map(|number| f64::from(number) / 4.0)
}

/// Mostly near each other, some far; steps of a tenth of a second.
fn ns() -> impl Strategy<Value = i64> {
    prop_oneof![8 => -20..200_i64, 1 => 0..5000_i64].prop_map(|tenths| tenths * 100_000_000)
}

fn actions(columns: usize) -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        6 => (ns(), 0..columns, value()).prop_map(|(ns, column, it)| Action::Add(ns, column, it)),
        6 => (ns(), 0..columns, value()).prop_map(|(ns, column, it)| Action::Set(ns, column, it)),
        1 => Just(Action::Tell),
        1 => Just(Action::Preserve),
    ];
    prop::collection::vec(action, 0..60)
}

type Case = (i64, i64, Vec<Aggregation>, Vec<Action>);

fn case() -> impl Strategy<Value = Case> {
    (2..7_i64, 1..4_i64, prop::collection::vec(aggregation(), 1..4)).prop_flat_map(
        |(rows, seconds, aggregations)| {
            let actions = actions(aggregations.len());
            (Just(rows), Just(seconds), Just(aggregations), actions)
        },
    )
}

fn make(rows: i64, seconds: i64, aggregations: &[Aggregation]) -> CircularBuffer {
    let mut made = CircularBuffer::new(rows, aggregations.len() as i64, seconds, true).unwrap();
    for (index, &aggregation) in aggregations.iter().enumerate() {
        made.set_header(index + 1, b"name", b"unit", aggregation).unwrap();
    }
    made
}

fn numbers(lines: &[String]) -> Vec<Vec<f64>> {
    let line = |line: &String| line.split('\t').map(|word| word.parse().unwrap()).collect();
    lines.iter().map(line).collect()
}

/// The same numbers; no value is as good as 0 where the column is no extreme, as preserving makes the one the other.
fn assert_same(found: &[Vec<f64>], wanted: &[Vec<f64>], lenient: bool) {
    let number = |number: &f64| if number.is_nan() && lenient { 0.0 } else { *number };
    let key = |rows: &[Vec<f64>]| -> Vec<Vec<String>> {
        let row = |row: &Vec<f64>| row.iter().map(|it| format!("{}", number(it) + 0.0)).collect();
        rows.iter().map(row).collect()
    };
    assert_eq!(key(found), key(wanted));
}

fn tell(buffer: &mut CircularBuffer, model: &mut Model) {
    buffer.set_format(Format::Cbufd);
    assert_same(&numbers(&rows(buffer)), &model.take_deltas(), true);
    buffer.set_format(Format::Cbuf);
    assert_same(&numbers(&rows(buffer)), &model.values(), false);
}

proptest! {
    #[test]
    fn the_ring_is_what_the_model_is((row_count, seconds, aggregations, actions) in case()) {
        let mut buffer = make(row_count, seconds, &aggregations);
        let mut model = Model::new(row_count, seconds, &aggregations);
        for action in actions {
            match action {
                Action::Add(ns, column, value) => {
                    let found = buffer.add(ns as f64, column + 1, value).unwrap();
                    prop_assert_eq!(found, model.add(ns, column, value));
                }
                Action::Set(ns, column, value) => {
                    let found = buffer.set(ns as f64, column + 1, value).unwrap();
                    prop_assert_eq!(found, model.set(ns, column, value));
                }
                Action::Tell => tell(&mut buffer, &mut model),
                Action::Preserve => {
                    let saved = preserved(&buffer, "k");
                    buffer = make(row_count, seconds, &aggregations);
                    buffer.restore(state(&saved).as_bytes()).unwrap();
                    prop_assert_eq!(preserved(&buffer, "k"), saved);
                }
            }
            prop_assert_eq!(buffer.current_time(), (model.newest * seconds) as f64 * 1e9);
        }
        tell(&mut buffer, &mut model);
    }

    #[test]
    fn statistics_are_those_of_the_values((row_count, seconds, aggregations, actions) in case()) {
        let mut buffer = make(row_count, seconds, &aggregations);
        for action in actions {
            if let Action::Add(ns, column, value) = action {
                buffer.add(ns as f64, column + 1, value).unwrap();
            }
        }
        let values: Vec<f64> = buffer.get_range(1, None, None).unwrap().unwrap().collect();
        prop_assert_eq!(values.len() as i64, row_count);
        let values: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
        let compute = |statistic| buffer.compute(statistic, 1, None, None).unwrap().unwrap();
        prop_assert_eq!(compute(Statistic::Sum).rows, values.len());
        let sum = values.iter().sum::<f64>() + 0.0;
        prop_assert_eq!(compute(Statistic::Sum).value, sum);
        let min = values.iter().copied().fold(f64::NAN, f64::min);
        prop_assert_eq!(compute(Statistic::Min).value.to_string(), min.to_string());
        if !values.is_empty() {
            let mean = sum / values.len() as f64;
            let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
            let variance = compute(Statistic::Variance).value;
            prop_assert!((variance - squares / values.len() as f64).abs() < 1e-9);
            prop_assert!((compute(Statistic::Sd).value.powi(2) - variance).abs() < 1e-9);
        }
    }

    #[test]
    fn a_merge_of_all_deltas_is_the_source((row_count, seconds, _, actions) in case()) {
        // Sums only: of others deltas do not tell all.
        let mut source = make(row_count, seconds, &[Aggregation::Sum]);
        let (mut sum, mut newest) = (source_like(&mut source), 0.0_f64);
        source.set_format(Format::Cbufd);
        for action in actions {
            if let Action::Add(ns, 0, value) | Action::Set(ns, 0, value) = action {
                source.add(ns as f64, 1, value).unwrap();
                newest = newest.max(ns as f64);
            }
            let output = text(&mut source);
            if let Ok((_, body)) = TextHeader::parse(output.as_bytes()) {
                sum.merge_deltas(body).unwrap();
            }
        }
        let zeros = |buffer: &CircularBuffer| -> Vec<f64> {
            let cells = buffer.get_range(1, None, None).unwrap().unwrap();
            cells.map(|cell| if cell.is_nan() { 0.0 } else { cell + 0.0 }).collect()
        };
        // A change by 0 moves only the source's window on.
        sum.add(newest, 1, 0.0).unwrap();
        prop_assert_eq!(zeros(&sum), zeros(&source));
    }

    #[test]
    fn garbage_is_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        check_texts(&bytes);
    }

    #[test]
    fn near_texts_are_refused_or_read(
        text in r#"[0-9]{1,2} [0-3]( (nan|-?inf|[0-9.e-]{1,6})){0,12}"#,
        lines in r#"([0-9]{1,4}(\t(nan|-?inf|[0-9.e-]{1,6})){0,3}\n){0,4}"#,
    ) {
        check_texts(text.as_bytes());
        check_texts(lines.as_bytes());
    }
}

fn source_like(source: &mut CircularBuffer) -> CircularBuffer {
    let output = text(source);
    TextHeader::parse(output.as_bytes()).unwrap().0.buffer(false).unwrap()
}

fn check_texts(bytes: &[u8]) {
    let mut buffer = make(3, 2, &[Aggregation::Sum, Aggregation::Max]);
    if buffer.restore(bytes).is_ok() {
        let saved = preserved(&buffer, "k");
        buffer.restore(state(&saved).as_bytes()).unwrap();
        assert_eq!(preserved(&buffer, "k"), saved);
    }
    if buffer.merge_deltas(bytes).is_ok() {
        text(&mut buffer);
    }
    if let Ok(mut buffer) = CircularBuffer::parse(bytes, 10_000) {
        text(&mut buffer);
    }
}
