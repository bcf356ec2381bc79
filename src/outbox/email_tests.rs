//! A mail as bytes: its headers, its parts, and what a hostile partner gets into none of them.
