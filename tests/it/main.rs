//! End-to-end tests: what can only be seen from outside.

mod tidy;
