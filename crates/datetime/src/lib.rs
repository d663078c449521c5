//! Time stamps: Go layouts, strftime, epoch forms.
