//! Splitters, decoders, filters, encoders and outputs that need nothing but the contracts.
