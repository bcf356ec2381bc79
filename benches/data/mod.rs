//! Makes data files for measurements, with the columns of the samples on the product page. The same
//! arguments result in the same bytes.
//!
//! The numbers in different columns are independent, so that compression gains nothing from similar
//! columns.

use std::io::{self, Write};

/// The manifest for the eight columns of [`events`].
#[allow(dead_code, reason = "not every measurement imports them")]
pub const EVENTS_MANIFEST: &str = r#"{
    "fileName": "events.csv", "type": "event", "clientEmail": "jane@acme.example",
    "columns": {
        "event_name": { "ctName": "evtName" },
        "time_stamp": { "ctName": "ts", "dataType": "INTEGER" },
        "cookie_id": { "ctName": "objectId" },
        "item_name": { "ctName": "Name" },
        "item_price": { "ctName": "Price", "dataType": "FLOAT" },
        "item_delivery_date": { "ctName": "DeliveryDate" },
        "status_delivered": { "ctName": "DeliveryStatus", "dataType": "BOOLEAN" }
    }
}
"#;

/// The manifest for the columns of [`profiles`].
#[allow(dead_code, reason = "not every measurement has profiles")]
pub const PROFILES_MANIFEST: &str = r#"{
    "fileName": "profiles.csv", "type": "profile", "clientEmail": "jane@acme.example",
    "columns": {
        "time_stamp": { "ctName": "ts", "dataType": "INTEGER" },
        "cookie_id": { "ctName": "objectId" },
        "id_name": { "ctName": "Name" },
        "id_email": { "ctName": "Email" },
        "id_phone": { "ctName": "Phone" },
        "is_married": { "ctName": "Married", "dataType": "BOOLEAN" },
        "age": { "ctName": "Age", "dataType": "INTEGER" }
    }
}
"#;

/// A seeded random number generator (splitmix64).
pub struct Random(pub u64);

impl Random {
    /// Returns a number from 0 to `n` - 1.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// Writes `records` events of about 100 bytes each. One event in `every` has a price that is not a
/// number. If `every` is 0, all prices are numbers.
pub fn events(mut to: impl Write, records: u64, every: u64) -> io::Result<()> {
    to.write_all(
        b"event_name,time_stamp,identity,cookie_id,item_name,item_price,item_delivery_date,\
          status_delivered\n",
    )?;
    let mut random = Random(42);
    for number in 1..=records {
        let wrong = every > 0 && number % every == 0;
        writeln!(
            to,
            "{},{},user{}@acme.example,cookie_{},Awesome Ring - {},{}.{:02}{},$D_{},{}",
            ["Purchased", "Viewed", "Added To Cart", "Searched"][random.below(4) as usize],
            1_578_503_667 + random.below(10_000_000),
            random.below(1_000_000),
            random.below(5_000_000),
            random.below(1000),
            random.below(500),
            random.below(100),
            if wrong { " EUR" } else { "" },
            1_589_274_432 + random.below(1_000_000),
            ["true", "false", "1", "0"][random.below(4) as usize],
        )?;
    }
    to.flush()
}

/// Writes `records` profile records of about 130 bytes each, for `profiles` profiles. Each record
/// has a value for a list. Another `seed` results in other records of the same profiles.
#[allow(dead_code, reason = "not every measurement has profiles")]
pub fn profiles(mut to: impl Write, records: u64, profiles: u64, seed: u64) -> io::Result<()> {
    to.write_all(
        b"time_stamp,identity,cookie_id,id_name,id_email,id_phone,is_married,age,Playlist,\
          Playlist.operation\n",
    )?;
    let mut random = Random(seed);
    for _ in 0..records {
        let user = random.below(profiles);
        writeln!(
            to,
            "{},user{user}@acme.example,cookie_{user},John Doe {},user{user}@acme.example,\
             +9188765{:05},{},{},{},$add",
            1_574_668_407 + random.below(10_000_000),
            random.below(10_000),
            random.below(100_000),
            ["true", "false"][random.below(2) as usize],
            random.below(100),
            ["Rock", "Pop", "Jazz", "Folk"][random.below(4) as usize],
        )?;
    }
    to.flush()
}
