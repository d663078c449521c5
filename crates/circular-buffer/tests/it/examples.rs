//! What Heka's own library gives.

use heka_circular_buffer::{Aggregation, Computed, Format, Statistic};

use crate::{buffer, delta_buffer, header, preserved, rows, text};

/// The data of the library's own test of the rank-sum test: two samples of 20.
const SAMPLES: [f64; 40] = [
    15309., 14092., 13661., 13412., 14205., 15042., 14142., 13820., 14917., 13953., 14320., 14472.,
    15133., 13790., 14539., 14129., 14363., 14202., 13841., 13610., 13759., 14428., 14851., 13838.,
    13819., 14468., 14989., 15557., 14380., 13500., 14818., 14632., 13631., 14663., 14532., 14188.,
    14537., 14109., 13925., 15022.,
];

#[test]
fn cbuf_and_advance() {
    let mut web = buffer(3, 2, 60);
    header(&mut web, 1, "Requests", Aggregation::Sum);
    web.set_header(2, b"peak latency", b"ms/req", Aggregation::Max).unwrap();
    assert_eq!(web.add(0.0, 1, 2.0).unwrap(), Some(2.0));
    assert_eq!(web.add(0.0, 1, 3.0).unwrap(), Some(5.0));
    assert_eq!(web.set(70e9, 2, 9.0).unwrap(), Some(9.0));
    assert_eq!(web.set(70e9, 2, 4.0).unwrap(), Some(9.0));
    let first_line = concat!(
        r#"{"time":0,"rows":3,"columns":2,"seconds_per_row":60,"column_info":["#,
        r#"{"name":"Requests","unit":"count","aggregation":"sum"},"#,
        r#"{"name":"peak_latency","unit":"ms/req","aggregation":"max"}]}"#,
    );
    assert_eq!(text(&mut web), format!("{first_line}\n5\tnan\nnan\t9\nnan\tnan\n"));

    assert_eq!(web.add(181e9, 1, 1.0).unwrap(), Some(1.0));
    assert_eq!(web.current_time(), 180e9);
    assert_eq!(web.get(0.0, 1).unwrap(), None);
    assert_eq!(web.get(240e9, 1).unwrap(), None);
    let output = text(&mut web);
    assert!(output.starts_with(r#"{"time":60,"#));
    assert!(output.ends_with("}\nnan\t9\nnan\tnan\n1\tnan\n"));
}

#[test]
fn cbufd_tells_changes_once() {
    let mut deltas = delta_buffer(3, 2, 60);
    header(&mut deltas, 2, "Min", Aggregation::Min);
    deltas.add(0.0, 1, 2.0).unwrap();
    deltas.set(0.0, 1, 10.0).unwrap();
    deltas.set(0.0, 2, 5.0).unwrap();
    deltas.set(0.0, 2, 8.0).unwrap();
    deltas.add(60e9, 1, 0.0).unwrap();
    let output = text(&mut deltas);
    assert!(output.starts_with(r#"{"time":0,"rows":3,"columns":2,"#));
    assert!(output.ends_with("]}\n0\t10\t5\n"));
    assert_eq!(text(&mut deltas), "");
}

#[test]
fn statistics_of_four_values() {
    let mut stats = buffer(5, 1, 1);
    for second in 1..=4 {
        stats.set(f64::from(second) * 1e9, 1, f64::from(second)).unwrap();
    }
    let compute = |statistic| stats.compute(statistic, 1, None, None).unwrap().unwrap();
    assert_eq!(compute(Statistic::Sum), Computed { value: 10.0, rows: 4 });
    assert_eq!(compute(Statistic::Avg), Computed { value: 2.5, rows: 4 });
    assert_eq!(compute(Statistic::Variance), Computed { value: 1.25, rows: 4 });
    assert_eq!(compute(Statistic::Sd), Computed { value: 1.25_f64.sqrt(), rows: 4 });
    assert_eq!(compute(Statistic::Min), Computed { value: 1.0, rows: 4 });
    assert_eq!(compute(Statistic::Max), Computed { value: 4.0, rows: 4 });
    assert_eq!(stats.compute(Statistic::Sum, 1, Some(3e9), Some(9e9)).unwrap(), None);

    // Heka gives NaN as the maximum of values that are not above 0.
    stats.restore(b"4 4 -5 -4 -3 -2 -1").unwrap();
    let max = stats.compute(Statistic::Max, 1, None, None).unwrap().unwrap();
    assert_eq!(max, Computed { value: -1.0, rows: 5 });
}

#[test]
fn statistics_of_nothing() {
    let empty = buffer(2, 1, 1);
    let compute = |statistic| empty.compute(statistic, 1, None, None).unwrap().unwrap();
    assert_eq!(compute(Statistic::Sum), Computed { value: 0.0, rows: 0 });
    let others =
        [Statistic::Avg, Statistic::Sd, Statistic::Variance, Statistic::Min, Statistic::Max];
    for statistic in others {
        let computed = compute(statistic);
        assert!(computed.value.is_nan() && computed.rows == 0, "{statistic:?}");
    }
}

fn filled(data: &[f64]) -> heka_circular_buffer::CircularBuffer {
    let mut filled = buffer(data.len() as i64, 1, 1);
    for (index, &value) in data.iter().enumerate() {
        filled.set((index + 1) as f64 * 1e9, 1, value).unwrap();
    }
    filled
}

#[test]
fn rank_sums_are_those_of_heka() {
    let samples = filled(&SAMPLES);
    let test = |continuity| {
        let test = samples.mann_whitney_u(1, (1e9, 20e9), (21e9, 40e9), continuity).unwrap();
        test.map(|test| (test.u1, (test.p * 1e8).round())).unwrap()
    };
    assert_eq!(test(true), (171.0, 22_037_494.0));
    assert_eq!(test(false), (171.0, 21_638_730.0));

    let mut tied = SAMPLES;
    tied[39] = 15309.0;
    let test = filled(&tied).mann_whitney_u(1, (1e9, 20e9), (21e9, 40e9), true).unwrap().unwrap();
    assert_eq!((test.u1, (test.p * 1e5).floor()), (168.5, 20084.0));
}

#[test]
fn rank_sums_of_equal_values_or_outside_are_none() {
    let equal = filled(&[1.0; 10]);
    assert_eq!(equal.mann_whitney_u(1, (1e9, 5e9), (6e9, 10e9), true).unwrap(), None);
    let empty = buffer(20, 1, 1);
    assert_eq!(empty.mann_whitney_u(1, (0.0, 9e9), (10e9, 19e9), true).unwrap(), None);
    let samples = filled(&SAMPLES);
    assert_eq!(samples.mann_whitney_u(1, (41e9, 60e9), (61e9, 80e9), true).unwrap(), None);
}

#[test]
fn rank_sums_take_cells_without_value_as_the_lowest() {
    let data: Vec<f64> =
        (0..120).map(|i| if i % 3 == 0 { f64::NAN } else { f64::from(i % 7) }).collect();
    let samples = filled(&data);
    let (early, late) = ((1e9, 60e9), (61e9, 120e9));
    let u1 = samples.mann_whitney_u(1, early, late, true).unwrap().unwrap().u1;
    let u2 = samples.mann_whitney_u(1, late, early, true).unwrap().unwrap().u1;
    assert_eq!(u1 + u2, 3600.0);

    let samples = filled(&[f64::NAN, 2.0, 1.0, 3.0]);
    let test = samples.mann_whitney_u(1, (1e9, 2e9), (3e9, 4e9), true).unwrap().unwrap();
    // Ranks 1 and 3 less the 3 that two values have at least.
    assert_eq!(test.u1, 1.0);
}

#[test]
fn preserved_as_heka_preserves() {
    let mut cb = delta_buffer(2, 1, 60);
    cb.add(0.0, 1, 4.0).unwrap();
    let key = r#"_G["cb"]"#;
    let lines = [
        r#"if _G["cb"] == nil then _G["cb"] = circular_buffer.new(2, 1, 60, true) end"#,
        r#"_G["cb"]:set_header(1, "Column_1", "count", "sum")"#,
        r#"_G["cb"]:fromstring("60 1 4 nan 0 4")"#,
        "",
    ];
    assert_eq!(preserved(&cb, key), lines.join("\n"));
    // Preserving is no output.
    assert_eq!(rows(&mut cb), ["0\t4"]);
    let first = preserved(&buffer(2, 1, 60), "x");
    assert!(first.starts_with("if x == nil then x = circular_buffer.new(2, 1, 60) end\n"));
    assert!(first.ends_with("x:fromstring(\"60 1 nan nan\")\n"));
}

#[test]
fn deltas_by_aggregation() {
    // A minimum's delta is the value, a sum's the difference.
    let mut cb = delta_buffer(2, 2, 1);
    header(&mut cb, 2, "Min", Aggregation::Min);
    cb.set(0.0, 1, 3.0).unwrap();
    cb.set(0.0, 2, 6.0).unwrap();
    assert_eq!(rows(&mut cb), ["0\t3\t6"]);
    cb.set(0.0, 1, 5.0).unwrap();
    cb.set(0.0, 2, 5.0).unwrap();
    assert_eq!(rows(&mut cb), ["0\t2\t5"]);
    cb.restore(b"1 1 1 2 3 4 0 3 4").unwrap();
    assert_eq!(rows(&mut cb), ["0\t3\t4"]);
    cb.set_format(Format::Cbuf);
    assert_eq!(rows(&mut cb), ["1\t2", "3\t4"]);

    // Two changes of a maximum are told as their sum, as in Heka.
    let mut cb = delta_buffer(2, 1, 1);
    header(&mut cb, 1, "Max", Aggregation::Max);
    cb.set(0.0, 1, 9.0).unwrap();
    cb.set(0.0, 1, 14.0).unwrap();
    assert_eq!(cb.get_delta(0.0, 1).unwrap(), Some(23.0));
    cb.add(0.0, 1, 1.0).unwrap();
    assert_eq!(cb.get_delta(0.0, 1).unwrap(), Some(38.0));
}

#[test]
fn ranges() {
    let mut stats = delta_buffer(5, 1, 1);
    for second in 1..=5 {
        stats.set(f64::from(second) * 1e9, 1, f64::from(second)).unwrap();
    }
    let range = |start, end| {
        let range = stats.get_range(1, start, end).unwrap();
        range.map(|values| values.collect::<Vec<_>>())
    };
    assert_eq!(range(None, None), Some(vec![1.0, 2.0, 3.0, 4.0, 5.0]));
    assert_eq!(range(Some(3e9), Some(4e9)), Some(vec![3.0, 4.0]));
    assert_eq!(range(Some(3e9), None), Some(vec![3.0, 4.0, 5.0]));
    assert_eq!(range(Some(11e9), Some(14e9)), None);
    assert_eq!(range(Some(0.0), None), None);
    let deltas = stats.get_range_delta(1, Some(4e9), None).unwrap().unwrap();
    assert_eq!(deltas.collect::<Vec<_>>(), [4.0, 5.0]);
    stats.reset_delta();
    assert!(stats.get_delta(5e9, 1).unwrap().unwrap().is_nan());
    assert!(stats.get_range_delta(1, None, None).unwrap().unwrap().all(f64::is_nan));
    assert!(buffer(2, 1, 1).get_delta(0.0, 1).unwrap().unwrap().is_nan());
}
