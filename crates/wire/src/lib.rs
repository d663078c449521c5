//! The protobuf message codec and stream framing, as Heka speaks them.
