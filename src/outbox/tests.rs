//! The relay against a real SMTP server and a real HTTP server, over a state database on disk.
