//! Claims about the log.
