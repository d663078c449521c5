//! What the original accepts, row by row, and what is refused with the place of the fault.

use heka_message::{Value, ValueType, Variables};
use heka_wire::WireError;
use proptest::prelude::*;

use crate::support::{decoded, encoded, encoded_anew, hex};

fn fault(bytes: &str) -> WireError {
    decoded(&hex(bytes)).map(drop).unwrap_err()
}

/// The fields of the message that `bytes` are, printed.
fn fields(bytes: &str) -> String {
    let batch = decoded(&hex(bytes)).unwrap();
    let record = batch.record(0).unwrap();
    format!("{:?}", record.fields().collect::<Vec<_>>())
}

/// As `fields`, of a message of one field with this content.
fn field(content: &str) -> String {
    let content = hex(content);
    let bytes: Vec<u8> = [0x52, content.len() as u8].into_iter().chain(content).collect();
    fields(&bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[test]
fn no_bytes_are_an_empty_message() {
    let batch = decoded(b"").unwrap();
    let record = batch.record(0).unwrap();
    assert!(!record.is_set(Variables::UUID) && !record.is_set(Variables::TIMESTAMP));
    assert_eq!((record.severity(), record.field_count()), (7, 0));
    assert_eq!(fields("52 00"), "[=[]]", "a field without a name");
}

#[test]
fn text_need_not_be_utf8() {
    let batch = decoded(&hex("1a 02 ff fe 52 07 0a 01 c3 22 02 80 81")).unwrap();
    let record = batch.record(0).unwrap();
    assert_eq!(record.message_type(), b"\xff\xfe");
    let field = record.field_named(b"\xc3").unwrap();
    assert_eq!(field.first(), Some(Value::Str(b"\x80\x81")));
}

#[test]
fn number_lists_may_be_packed_or_not_or_both() {
    assert_eq!(field("0a 01 6e 10 02 30 01 32 02 02 03"), "[n=[Int(1), Int(2), Int(3)]]");
    assert_eq!(field("0a 01 6e 10 02 32 02 01 02 30 03"), "[n=[Int(1), Int(2), Int(3)]]");
    assert_eq!(
        field("0a 01 6e 10 04 40 01 42 02 00 01"),
        "[n=[Bool(true), Bool(false), Bool(true)]]"
    );
    let double = "00 00 00 00 00 00 e0 3f";
    assert_eq!(
        field(&format!("0a 01 6e 10 03 39 {double} 3a 08 {double}")),
        "[n=[Double(0.5), Double(0.5)]]"
    );
    assert_eq!(field("0a 01 6e 10 02 32 00"), "[n=[]]");
    assert_eq!(field("0a 01 6e 10 02 30 07"), "[n=[Int(7)]]");
}

#[test]
fn of_members_that_are_there_twice_the_last_counts() {
    let batch = decoded(&hex("1a 01 61 28 01 1a 01 62 28 02 10 01 10 05")).unwrap();
    let record = batch.record(0).unwrap();
    assert_eq!((record.message_type(), record.severity(), record.timestamp()), (&b"b"[..], 2, 5));
    assert_eq!(field("0a 01 61 10 02 10 00 0a 01 62 22 01 78"), "[b=[Str([120])]]");
}

#[test]
fn values_may_stand_before_the_type_and_lists_of_other_types_are_not_read() {
    assert_eq!(field("32 02 01 02 22 01 78 10 02 0a 01 6e"), "[n=[Int(1), Int(2)]]");
    assert_eq!(field("32 01 01 22 01 78 22 01 79 0a 01 6e"), "[n=[Str([120]), Str([121])]]");
    assert_eq!(field("32 01 01 2a 01 78 0a 01 6e 10 01"), "[n=[Bytes([120])]]");
    assert_eq!(field("32 01 01 0a 01 6e"), "[n=[]]");
}

#[test]
fn a_type_outside_the_enum_is_kept_without_a_readable_value() {
    let batch = decoded(&hex("52 08 0a 01 6e 10 05 22 01 78")).unwrap();
    let field = batch.record(0).unwrap().fields().next().unwrap();
    assert_eq!((field.value_type(), field.first()), (ValueType::Unknown, None));
    // Only the low 32 bits of an enum count.
    assert_eq!(self::field("0a 01 6e 10 82 80 80 80 10 30 01"), "[n=[Int(1)]]");
}

#[test]
fn names_repeat_and_keep_their_order() {
    assert_eq!(
        fields("52 06 0a 01 61 22 01 31 52 06 0a 01 62 22 01 32 52 06 0a 01 61 22 01 33"),
        "[a=[Str([49])], b=[Str([50])], a=[Str([51])]]"
    );
}

#[test]
fn an_id_of_another_length_is_kept_but_has_no_text() {
    let bytes = hex("0a 02 01 02 10 05");
    let batch = decoded(&bytes).unwrap();
    let record = batch.record(0).unwrap();
    assert!(record.is_set(Variables::UUID));
    assert_eq!((record.uuid(), record.uuid_bytes()), (None, &[1, 2][..]));
    assert_eq!(encoded(&batch), bytes);
    assert_eq!(encoded_anew(&batch), bytes);
}

#[test]
fn varints_longer_than_ten_bytes_lose_their_high_bits() {
    let batch = decoded(&hex("10 81 80 80 80 80 80 80 80 80 80 80 80 01")).unwrap();
    assert_eq!(batch.record(0).unwrap().timestamp(), 1);
}

#[test]
fn a_wrong_wire_type_is_refused_with_member_and_place() {
    for (bytes, number, wire_type, offset) in [
        ("08 01", 1, 0, 0),
        ("1a 00 12 01 61", 2, 2, 2),
        ("28 01 2d 00 00 00 00", 5, 5, 2),
        ("50 01", 10, 0, 0),
        ("52 02 08 01", 1, 0, 2),
        ("52 03 31 00 00", 6, 1, 2),
        ("52 02 38 01", 7, 0, 2),
        ("52 02 20 01", 4, 0, 2),
    ] {
        assert_eq!(fault(bytes), WireError::WireType { offset, number, wire_type }, "{bytes}");
    }
}

#[test]
fn cut_off_messages_are_refused_with_the_place() {
    assert_eq!(fault("10"), WireError::Truncated { offset: 1 });
    assert_eq!(fault("10 80"), WireError::Truncated { offset: 1 });
    assert_eq!(fault("1a 05 61"), WireError::Length { offset: 1, length: 5 });
    assert_eq!(fault("f9 01 00"), WireError::Truncated { offset: 2 });
    assert_eq!(fault("00"), WireError::Tag { offset: 0 });
}

/// The original kept such fields half filled.
#[test]
fn faults_inside_a_field_are_refused() {
    assert_eq!(fault("10 01 52 03 0a 05 61"), WireError::Length { offset: 5, length: 5 });
    assert_eq!(fault("52 05 0a 01 61 3a 09"), WireError::Length { offset: 6, length: 9 });
    assert_eq!(fault("52 04 3a 02 00 00"), WireError::Truncated { offset: 4 });
    assert_eq!(fault("52 03 32 01 80"), WireError::Truncated { offset: 4 });
    // Also in a list that is not read.
    assert_eq!(fault("52 06 0a 01 61 32 01 80"), WireError::Truncated { offset: 7 });
}

/// The original died of them.
#[test]
fn hostile_lengths_are_refused() {
    let huge = "ff ff ff ff ff ff ff ff ff 01";
    for member in ["0a", "1a", "52", "fa 01"] {
        let error = fault(&format!("{member} {huge}"));
        assert!(matches!(error, WireError::Length { length: u64::MAX, .. }), "{member}: {error}");
    }
    assert!(matches!(fault(&format!("52 0b 32 {huge}")), WireError::Length { offset: 3, .. }));
}

#[test]
fn errors_tell_what_and_where() {
    assert_eq!(
        fault("28 01 2d 00 00 00 00").to_string(),
        "member 5 at byte 2 has the wrong wire type 5"
    );
    assert_eq!(fault("10 80").to_string(), "unexpected end inside the value at byte 1");
}

proptest! {
    /// Whatever is accepted is passed on unchanged, and its parts written anew are accepted too.
    #[test]
    fn no_bytes_make_the_codec_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(batch) = decoded(&bytes) {
            prop_assert_eq!(encoded(&batch), bytes);
            decoded(&encoded_anew(&batch)).unwrap();
        }
    }

    /// Bytes that look like a message get further than random ones.
    #[test]
    fn no_broken_message_makes_the_codec_panic(
        at in 0_usize..180, byte in any::<u8>(), cut in 0_usize..=180
    ) {
        let mut bytes = hex(crate::examples::FULL_MESSAGE);
        bytes[at] = byte;
        bytes.truncate(cut);
        if let Ok(batch) = decoded(&bytes) {
            decoded(&encoded_anew(&batch)).unwrap();
        }
    }
}
