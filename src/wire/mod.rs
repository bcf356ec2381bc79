//! Requests and answers between the programs of the console. Each is one line of JSON. The types
//! hold texts as they were sent: the receiver checks them.

pub mod admin;
