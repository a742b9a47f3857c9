//! The rooms joined, in process; and the house they stand in.

mod arrows;
