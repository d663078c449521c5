//! Arena batches of messages, their builder and borrowed views.
