//! A world to try the server in without an account.
pub mod model;
