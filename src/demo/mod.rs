//! A world to try the server in: a scripted model instead of an account, directories of its own, a client.
pub mod model;
pub mod play;
pub mod trial;
pub mod world;
