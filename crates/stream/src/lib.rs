//! The stream: memory window, cursors, selections, settled watermark.
