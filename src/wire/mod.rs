//! Defines the requests and answers that the programs of the console exchange. Each request and
//! each answer is one line of JSON. The types contain the texts as they were sent. The receiver
//! must check the texts.

pub mod admin;
