//! The crate `clickhouse` against the embedded ClickHouse, a cell of the table at a time, as the owner and as the
//! analyst, with the crate's default compression (LZ4). Run by tests/clients/table.py. Prints one line of JSON a cell.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use clickhouse::{Client, Row};
use serde::{Deserialize, Serialize};

const TEXT: &str = "it's \\ ä";
const CELLS: [&str; 8] = ["connect", "metadata", "types", "parameters", "insert", "stream", "cancel", "mid_stream"];

type Outcome = Result<(), Box<dyn Error>>;

/// What the cells ask and what they must be told, as tests/clients/table.py gives it in `SEGMA_CELLS`.
#[derive(Deserialize)]
struct Given {
    port: u16,
    passwords: HashMap<String, String>,
    columns: Vec<String>,
    expected: Vec<Vec<String>>,
    select: String,
    stream: String,
    sum: u64,
    endless: String,
    broken: String,
}

/// A row of `cell_types`; the crate checks each column's type against the field's. Instants are milliseconds.
#[derive(Row, Deserialize)]
struct Types {
    s: String,
    l: String,
    u8: u8,
    u16: u16,
    u32: u32,
    u64: u64,
    i32: i32,
    i64: i64,
    f: Option<f64>,
    b: bool,
    at: i64,
    nat: Option<i64>,
    names: Vec<String>,
    words: Vec<String>,
    ats: Vec<i64>,
    removed: Vec<(String, u64)>,
}

fn shown<T: ToString>(value: Option<T>) -> String {
    value.map_or("null".to_string(), |known| known.to_string())
}

fn listed<T: ToString>(values: &[T]) -> String {
    format!("[{}]", values.iter().map(T::to_string).collect::<Vec<_>>().join(","))
}

impl Types {
    fn shown(mut self) -> Vec<String> {
        self.removed.sort();
        let removed: Vec<_> = self.removed.iter().map(|(key, number)| format!("{key}={number}")).collect();
        vec![
            self.s,
            self.l,
            self.u8.to_string(),
            self.u16.to_string(),
            self.u32.to_string(),
            self.u64.to_string(),
            self.i32.to_string(),
            self.i64.to_string(),
            shown(self.f),
            self.b.to_string(),
            self.at.to_string(),
            shown(self.nat),
            listed(&self.names),
            listed(&self.words),
            listed(&self.ats),
            format!("{{{}}}", removed.join(",")),
        ]
    }
}

#[derive(Row, Deserialize)]
struct Described {
    name: String,
    #[serde(rename = "type")]
    _kind: String,
    #[serde(rename = "default_type")]
    _default_kind: String,
    #[serde(rename = "default_expression")]
    _default: String,
    #[serde(rename = "comment")]
    _comment: String,
    #[serde(rename = "codec_expression")]
    _codec: String,
    #[serde(rename = "ttl_expression")]
    _ttl: String,
}

#[derive(Row, Serialize)]
struct Inserted<'a> {
    x: u32,
    s: &'a str,
}

#[derive(Row, Deserialize)]
struct Thrown {
    number: u64,
    #[serde(rename = "t")]
    _thrown: u8,
}

fn check<T: PartialEq + std::fmt::Debug>(found: T, wanted: T) -> Outcome {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{found:?} instead of {wanted:?}").into())
}

async fn types(client: &Client, given: &Given) -> Outcome {
    let rows = client.query(&given.select).fetch_all::<Types>().await?;
    check(rows.into_iter().map(Types::shown).collect(), given.expected.clone())
}

async fn metadata(client: &Client, given: &Given) -> Outcome {
    let rows = client.query("DESCRIBE TABLE cell_types").fetch_all::<Described>().await?;
    check(rows.into_iter().map(|row| row.name).collect(), given.columns.clone())
}

async fn parameters(client: &Client) -> Outcome {
    let query = client.query("SELECT {number:UInt32} + 1, {text:String}").param("number", 41).param("text", TEXT);
    check(query.fetch_one::<(u64, String)>().await?, (42, TEXT.to_string()))
}

async fn insert(client: &Client) -> Outcome {
    let mut rows = client.insert::<Inserted>("cell_inserts").await?;
    for x in 0..1_000 {
        rows.write(&Inserted { x, s: TEXT }).await?;
    }
    Ok(rows.end().await?)
}

async fn stream(client: &Client, given: &Given) -> Outcome {
    let mut rows = client.query(&given.stream).fetch::<u64>()?;
    let mut sum = 0;
    while let Some(number) = rows.next().await? {
        sum += number;
    }
    check(sum, given.sum)
}

/// Leave a query that would never end, by dropping what waits for it; the caller looks whether the server is rid of it.
async fn cancel(client: &Client, given: &Given) -> Outcome {
    let asked = client.query(&given.endless).fetch_one::<u64>();
    match tokio::time::timeout(Duration::from_secs(1), asked).await {
        Err(_) => Ok(()),
        Ok(answer) => Err(format!("an answer: {answer:?}").into()),
    }
}

async fn mid_stream(client: &Client, given: &Given) -> Outcome {
    let mut rows = client.query(&given.broken).fetch::<Thrown>()?;
    let mut last = 0;
    loop {
        match rows.next().await {
            Ok(Some(row)) => last = row.number,
            Ok(None) => return Err(format!("no error, but an end behind {last}").into()),
            Err(_) => return Ok(()),
        }
    }
}

async fn run(cell: &str, client: &Client, given: &Given) -> Outcome {
    match cell {
        "connect" => check(client.query("SELECT 1").fetch_one::<u8>().await?, 1),
        "metadata" => metadata(client, given).await,
        "types" => types(client, given).await,
        "parameters" => parameters(client).await,
        "insert" => insert(client).await,
        "stream" => stream(client, given).await,
        "cancel" => cancel(client, given).await,
        _ => mid_stream(client, given).await,
    }
}

async fn run_all(given: Given) {
    for user in ["segma", "analyst"] {
        let client = Client::default()
            .with_url(format!("http://127.0.0.1:{}", given.port))
            .with_user(user)
            .with_password(&given.passwords[user])
            .with_database("segma");
        for cell in CELLS {
            let said = run(cell, &client, &given).await.err().map_or(String::new(), |error| error.to_string());
            let said: String = said.chars().take(500).collect();
            println!("{}", serde_json::json!({"cell": cell, "user": user, "said": said}));
        }
    }
}

fn main() {
    let given = std::env::var("SEGMA_CELLS").expect("SEGMA_CELLS says what to ask");
    let given = serde_json::from_str(&given).expect("SEGMA_CELLS is JSON");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run_all(given));
}
