//! The wire format of protocol buffers: ONNX models and TensorBoard events are written and read with it.

mod reader;
mod writer;

pub use reader::{Field, ProtobufError, Reader, push_integers};
pub use writer::Message;

/// Wire type of a variable-length integer.
const VARINT: u8 = 0;
/// Wire type of a 64-bit value.
const FIXED_64: u8 = 1;
/// Wire type of text, bytes, a nested message or a packed list.
const LENGTH_DELIMITED: u8 = 2;
/// Wire type of a 32-bit value.
const FIXED_32: u8 = 5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<(u64, Field<'_>)>, ProtobufError> {
        let mut reader = Reader::new(bytes);
        let mut fields = Vec::new();
        while let Some(field) = reader.next_field()? {
            fields.push(field);
        }
        Ok(fields)
    }

    #[test]
    fn every_kind_of_field_is_read_back() {
        let inner = Message::default().text(1, "é");
        let bytes = Message::default()
            .integer(1, -1)
            .integer(16, 300)
            .float(2, 1.5)
            .double(3, -2.25)
            .bytes(4, &[0, 255])
            .message(5, &inner)
            .into_bytes();
        let expected = [
            (1, Field::Integer(u64::MAX)),
            (16, Field::Integer(300)),
            (2, Field::Fixed32(1.5f32.to_le_bytes())),
            (3, Field::Fixed64((-2.25f64).to_le_bytes())),
            (4, Field::Bytes(&[0, 255])),
            (5, Field::Bytes("\u{a}\u{2}é".as_bytes())),
        ];
        assert_eq!(fields(&bytes).as_deref(), Ok(&expected[..]));
    }

    #[test]
    fn malformed_messages_are_refused_with_their_offset() {
        let cases: [(&[u8], ProtobufError); 6] = [
            (&[0x08], ProtobufError::Truncated { offset: 1 }),
            (&[0x08, 0x80], ProtobufError::Truncated { offset: 2 }),
            (&[0x0a, 5, 1], ProtobufError::Truncated { offset: 2 }),
            (&[0x0d, 1, 2, 3], ProtobufError::Truncated { offset: 1 }),
            (&[0x0b], ProtobufError::UnknownWireType { wire_type: 3, offset: 1 }),
            (
                &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
                ProtobufError::IntegerTooLong { offset: 11 },
            ),
        ];
        let failures: Vec<_> =
            cases.iter().filter(|(bytes, error)| fields(bytes).as_ref() != Err(error)).collect();
        assert!(failures.is_empty(), "{failures:?}");
    }

    #[test]
    fn packed_and_single_integers_are_collected() {
        let mut found = Vec::new();
        push_integers(Field::Integer(7), &mut found).expect("an integer");
        push_integers(Field::Bytes(&[1, 0xac, 0x02]), &mut found).expect("a packed list");
        push_integers(Field::Fixed32([0; 4]), &mut found).expect("ignored");
        assert_eq!(found, [7, 1, 300]);
        assert!(push_integers(Field::Bytes(&[0x80]), &mut found).is_err());
    }

    proptest! {
        #[test]
        fn integers_and_bytes_round_trip(number in 1u32..1 << 20, value: i64, bytes: Vec<u8>) {
            let message = Message::default().integer(number, value).bytes(number, &bytes).into_bytes();
            let expected = vec![
                (u64::from(number), Field::Integer(value as u64)),
                (u64::from(number), Field::Bytes(&bytes)),
            ];
            prop_assert_eq!(fields(&message), Ok(expected.clone()));
            // Cut anywhere, the message is refused or holds a prefix of its fields.
            for cut in 0..message.len() {
                if let Ok(found) = fields(&message[..cut]) {
                    prop_assert_eq!(&found[..], &expected[..found.len()]);
                }
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = fields(&bytes);
        }
    }
}
