//! Words and windows.

use heka_sketches::{MinDist, SaxWindow, SaxWord};

use crate::preserved;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn word(values: &[f64], frames: i64, cardinality: i64) -> SaxWord {
    SaxWord::from_values(values, frames, cardinality).unwrap()
}

fn parsed(text: &str, cardinality: i64) -> SaxWord {
    SaxWord::parse(text.as_bytes(), cardinality).unwrap()
}

fn window(values: &[f64], frames: i64, cardinality: i64) -> SaxWindow {
    let mut made = SaxWindow::new(values.len() as i64, frames, cardinality).unwrap();
    values.iter().for_each(|&value| made.add(value));
    made
}

fn distance(left: &SaxWord, right: &SaxWord) -> MinDist {
    left.mindist(right).unwrap()
}

#[test]
fn words_are_those_of_heka() {
    let cases: &[(&[f64], i64, i64, &str)] = &[
        (&[10.3, 7.0, 1.0, -5.0, -5.0, 7.2], 2, 8, "FC"),
        (&[1.0, 2.0, 3.0, 10.1], 2, 4, "AD"),
        (&[5., 6., 7., -5., -6., -7., 0.25, 0.17, 0.04, -0.04, -0.17, -0.25], 4, 8, "HAED"),
        (&[INF, INF, INF, INF, INF, INF, -INF, -INF, -INF], 3, 5, "EEA"),
        (&[INF, INF, 5.0, 0.0, 0.0, 0.0, -INF, -INF, -5.0], 3, 5, "ECA"),
        (&[NAN, 5.0, 5.0, 0.0, 0.0, 0.0, NAN, -5.0, -5.0], 3, 5, "ECA"),
        (&[INF, INF, 5.0, NAN, NAN, NAN, -INF, -INF, -5.0], 3, 5, "E#A"),
        (&[NAN, INF, NAN], 3, 5, "#E#"),
        (&[NAN; 9], 3, 5, "###"),
        (&[NAN, NAN, INF, -INF, INF, 1., -INF, -1., NAN, -5., 5., NAN], 6, 8, "##HAAH"),
        (&[8.0; 6], 3, 2, "BBB"),
        (&[8.0; 6], 3, 5, "CCC"),
    ];
    for &(values, frames, cardinality, text) in cases {
        let word = word(values, frames, cardinality);
        assert_eq!(word.to_string(), text);
        assert_eq!(word, parsed(text, cardinality));
        assert_eq!(window(values, frames, cardinality).word(), word);
    }
}

#[test]
fn distances_are_those_of_heka() {
    let near = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-5, "{found}");
    let left = word(&[10.3, 7.0, 1.0, -5.0, -5.0, 7.2], 2, 8);
    let right = window(&[-9.0, -8.0, -7.0, -5.0, -5.0, 7.2], 2, 8).word();
    let found = distance(&left, &right);
    near(found.distance, 1.560_325);
    near(found.above, 1.103_316);
    near(found.below, 1.103_316);

    let found = distance(&parsed("ABDD", 4), &parsed("DBAA", 4));
    near(found.distance, 2.336_536);
    near(found.above, 1.907_774);
    near(found.below, 1.349_000);
    assert_eq!(distance(&left, &left).distance, 0.0);
}

#[test]
fn no_data_is_as_far_as_it_can_be() {
    let all = parsed("ABCD", 4);
    let wanted = distance(&all, &parsed("DDAA", 4));
    assert_eq!(distance(&all, &parsed("####", 4)), wanted);
    let flipped = distance(&parsed("####", 4), &all);
    assert_eq!((flipped.distance, flipped.above), (wanted.distance, wanted.below));
    let found = distance(&parsed("CCCCC", 5), &parsed("#####", 5));
    assert_eq!(found, distance(&parsed("CCCCC", 5), &parsed("AAAAA", 5)));
    assert_eq!((found.above, found.below), (found.distance, 0.0));
    assert_eq!(distance(&parsed("####", 4), &parsed("####", 4)).distance, 0.0);
}

#[test]
fn words_that_cannot_be_compared() {
    let pair = parsed("AB", 4);
    assert_eq!(pair.mindist(&parsed("ABC", 4)), None);
    assert_eq!(pair.mindist(&parsed("AB", 5)), None);
    let (four, six) = (word(&[1.0; 4], 2, 4), word(&[1.0; 6], 2, 4));
    assert_eq!(four.mindist(&six), None);
    // A word that was read does not know how long its series was.
    let scaled = distance(&four, &parsed("AA", 4)).distance;
    assert_eq!(scaled, distance(&parsed("CC", 4), &parsed("AA", 4)).distance * 2_f64.sqrt());
    assert_ne!(pair, parsed("AB", 5));
    assert_eq!(four, six);
}

#[test]
fn windows_keep_the_last_values() {
    let mut last = SaxWindow::new(4, 2, 4).unwrap();
    assert_eq!(last.word().to_string(), "##");
    last.add(23.0);
    assert_eq!(last.word().to_string(), "#C");
    [1.0, 2.0, 3.0, 10.1].into_iter().for_each(|value| last.add(value));
    assert_eq!(last.word().to_string(), "AD");
    let word = last.word();
    [-10.0, 1.0, 2.0, 3.0, 10.1].into_iter().for_each(|value| last.add(value));
    assert_eq!(last.word(), word);
    last.clear();
    assert_eq!(last.word(), parsed("##", 4));
}

#[test]
fn a_long_series_has_the_word_of_its_end() {
    let mut long = SaxWindow::new(100, 5, 8).unwrap();
    let mut end = SaxWindow::new(100, 5, 8).unwrap();
    (0..1_000_000).for_each(|value| long.add(f64::from(value)));
    (999_900..1_000_000).for_each(|value| end.add(f64::from(value)));
    assert_eq!(long.word(), end.word());
    assert_eq!(long.word().to_string(), "ABEGH");
}

#[test]
fn limits() {
    let cases = [
        ((1, 3, 3), "n is out of range"),
        ((4097, 1, 1), "n is out of range"),
        ((9, 1, 3), "w is out of range"),
        ((4096, 4096, 3), "w is out of range"),
        ((10, 3, 1), "n must be evenly divisible by w"),
        ((9, 3, 1), "cardinality is out of range"),
        ((9, 3, 17), "cardinality is out of range"),
    ];
    for ((values, frames, cardinality), text) in cases {
        let error = SaxWindow::new(values, frames, cardinality).unwrap_err();
        assert_eq!(error.to_string(), text);
        let values = vec![0.0; values as usize];
        let error = SaxWord::from_values(&values, frames, cardinality).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    assert_eq!(SaxWindow::new(-1, 2, 2).unwrap_err().to_string(), "n is out of range");
    assert!(SaxWindow::new(4096, 2048, 16).is_ok());
    assert!(SaxWindow::new(2, 2, 2).is_ok());

    let error = |text: &str, cardinality| {
        SaxWord::parse(text.as_bytes(), cardinality).unwrap_err().to_string()
    };
    assert_eq!(error("", 5), "length of SAX string should be > 1");
    assert_eq!(error("A", 5), "length of SAX string should be > 1");
    let illegal = "illegal symbols for given cardinality or bad cardinality itself";
    for (text, cardinality) in
        [("AAABF", 5), ("aaabc", 5), ("AABBC", 1), ("AABBC", 17), ("A\0", 5), ("A@", 5)]
    {
        assert_eq!(error(text, cardinality), illegal, "{text} {cardinality}");
    }
    assert_eq!(parsed("AP#", 16).as_bytes(), b"AP#");
}

#[test]
fn preserved_as_heka_preserves() {
    let text = |out: Vec<u8>| String::from_utf8(out).unwrap();
    let saved = text(preserved(|out| parsed("A#D", 4).preserve(b"_G[\"w\"]", out)));
    let wanted = "if _G[\"w\"] == nil then _G[\"w\"] = sax.word.new(\"A#D\", 4) end\n";
    assert_eq!(saved, wanted);

    let mut last = SaxWindow::new(4, 2, 4).unwrap();
    let saved = text(preserved(|out| last.preserve(b"k", out)));
    assert_eq!(saved, "if k == nil then k = sax.window.new(4, 2, 4) end\nk:clear()\n");
    [7.0, 1.5, INF, -INF, -2.0].into_iter().for_each(|value| last.add(value));
    let saved = text(preserved(|out| last.preserve(b"k", out)));
    assert!(saved.ends_with("\nk:clear()\nk:add({1.5,1/0,-1/0,-2})\n"), "{saved}");
    last.clear();
    last.add(1.0 / 3.0);
    let saved = text(preserved(|out| last.preserve(b"k", out)));
    assert!(saved.ends_with("\nk:add({0/0,0/0,0/0,0.33333333})\n"), "{saved}");
}

/// At the border of two bands the last digit of the mean decides.
#[test]
fn a_word_does_not_depend_on_where_the_window_keeps_its_oldest_value() {
    let values = [93.90627460697868, -49.622565399261376, f64::NAN, f64::NAN];
    let expected = SaxWord::from_values(&values, 2, 4).unwrap();
    for earlier in 0..8 {
        let mut window = SaxWindow::new(4, 2, 4).unwrap();
        (0..earlier).for_each(|_| window.add(0.0));
        values.iter().for_each(|&value| window.add(value));
        assert_eq!(window.word(), expected, "{earlier}");
    }
}
