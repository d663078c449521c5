//! Native parsers for common log formats, and the JSON encoder.
