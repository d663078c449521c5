//! Any bytes: nothing panics, and steps are charged as promised.

use heka_luatext::{
    Capture, Directives, Kind, Matcher, PackFormat, Pattern, Piece, Substitution, heka_number,
    lua_number, pack_size,
};
use proptest::prelude::*;

/// Bytes of which patterns are made, and some others.
fn patterns() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        8 => prop::sample::select(&b"ab.%*+-?()[]^$1sSwdfbz \0\n"[..]),
        1 => any::<u8>(),
    ];
    prop::collection::vec(part, 0..16)
}

fn subjects() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![8 => prop::sample::select(&b"aab() 1\0"[..]), 1 => any::<u8>()];
    prop::collection::vec(part, 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_pattern_ends(source in patterns(), text in subjects(), from in 0_usize..30) {
        let mut matcher = Matcher::new();
        for kind in [Kind::Find, Kind::Match, Kind::Each] {
            let mut budget = 20_000;
            let pattern = Pattern::new(&source, kind, &mut budget).unwrap();
            if let Ok(Some(found)) = matcher.find(&pattern, &text, from, &mut budget) {
                prop_assert!(from.min(text.len()) <= found.start && found.start <= found.end);
                prop_assert!(found.end <= text.len());
                let lies_inside = |index| match found.capture(index) {
                    Ok(Capture::Text { start, end }) => start <= end && end <= text.len(),
                    _ => true,
                };
                prop_assert!((0..found.values()).all(lies_inside));
            }
        }
    }

    #[test]
    fn any_substitution_ends(source in patterns(), text in subjects(), with in patterns()) {
        let mut matcher = Matcher::new();
        let mut budget = 20_000;
        let pattern = Pattern::new(&source, Kind::Match, &mut budget).unwrap();
        let mut out = Vec::new();
        let mut substitution = Substitution::new(u64::MAX);
        while let Ok(Some(found)) =
            substitution.next(&mut matcher, &pattern, &text, &mut out, &mut budget)
        {
            if found.expand(&with, &text, &mut out, 1_000, &mut budget).is_err() {
                break;
            }
        }
        prop_assert!(substitution.finish(&text, &mut out) <= text.len() as u64 + 1);
    }

    #[test]
    fn any_format_is_read(
        format in prop::collection::vec(prop::sample::select(&b"%-+ #0123.9cdiouxXeEfgGqsy\0"[..]), 0..12),
        number: f64,
        text in subjects(),
    ) {
        let mut out = Vec::new();
        let mut directives = Directives::new(&format);
        while let Ok(Some(piece)) = directives.next(true) {
            let before = out.len();
            if let Piece::Directive(directive) = piece {
                directive.write_number(number, &mut out);
                prop_assert!(out.len() - before <= heka_luatext::ITEM_BYTES_MAX);
                directive.write_text(&text, &mut out);
            }
        }
    }

    #[test]
    fn any_number_has_a_short_text(number: f64) {
        let mut out = Vec::new();
        lua_number(number, &mut out);
        prop_assert!(out.len() <= heka_luatext::NUMBER_BYTES_MAX);
        out.clear();
        heka_number(number, &mut out);
        prop_assert!(out.len() <= heka_luatext::NUMBER_BYTES_MAX);
    }

    #[test]
    fn any_structure_is_read(
        format in prop::collection::vec(prop::sample::select(&b"<>!bBhHlLTiIfdcsx 0123456789y"[..]), 0..12),
        data in prop::collection::vec(any::<u8>(), 0..64),
        number: f64,
        at in 0_usize..70,
    ) {
        let mut unpacked = PackFormat::new(&format);
        let mut at = at;
        while let Ok(Some(_)) = unpacked.next_unpack(&data, &mut at, || Some(number)) {
            prop_assert!(at <= data.len());
        }
        let mut out = Vec::new();
        let mut packed = PackFormat::new(&format);
        while let Ok(Some(item)) = packed.next_pack(&mut out) {
            let (before, wanted) = (out.len(), item.text_bytes(&data));
            item.write_number(number, &mut out);
            if item.write_text(&data, &mut out).is_ok() && item.takes_text() {
                prop_assert_eq!(out.len() - before, wanted);
            }
        }
        prop_assert!(out.len() < 32 * 12 + 128 * 12);
        prop_assert!(pack_size(&format).is_ok_and(|size| size < 1 << 40) || pack_size(&format).is_err());
    }
}
