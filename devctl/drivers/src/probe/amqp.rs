//! An AMQP 0-9-1 connection, opened and closed. By hand: seven frames, and a client library would start a runtime and threads of
//! its own for a test that is made every few milliseconds while a broker boots.
//!
//! `Start` -> `Start-Ok` (PLAIN) -> `Tune` -> `Tune-Ok`, `Open` -> `Open-Ok`: only then do users and virtual hosts exist.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::AmqpLogin;

const CLOSED: &str = "connection closed";
const START: (u16, u16) = (10, 10);
const TUNE: (u16, u16) = (10, 30);
const OPEN_OK: (u16, u16) = (10, 41);
const CLOSE: (u16, u16) = (10, 50);
/// No frame of a handshake is longer; what is longer is no AMQP.
const LONGEST: usize = 1 << 20;

/// Ready is what opens the virtual host.
pub(super) async fn open(login: &AmqpLogin) -> Result<String, String> {
    let mut stream = super::connect(login.addr).await?;
    // RabbitMQ logs a peer that goes without a word; closing in order would cost another round trip for nothing but that.
    send(&mut stream, b"AMQP\0\0\x09\x01").await?;
    expect(&mut stream, START).await?;
    let mut start_ok = method(10, 11);
    table(&mut start_ok, &[("product", "devctl-probe")]);
    short(&mut start_ok, "PLAIN");
    long(
        &mut start_ok,
        format!("\0{}\0{}", login.user, login.password).as_bytes(),
    );
    short(&mut start_ok, "en_US");
    send(&mut stream, &frame(&start_ok)).await?;
    // A wrong password is answered by closing the connection.
    let mut tune = match expect(&mut stream, TUNE).await {
        Ok(tune) => tune,
        // A wrong password is answered by closing the connection, with a word or without.
        Err(error) if error == CLOSED || error.starts_with("403") => {
            let refused = format!("user `{}` was refused", login.user);
            return if login.refusal_is_ready {
                Ok(refused)
            } else {
                Err(refused)
            };
        }
        Err(error) => return Err(error),
    };
    if tune.remaining() < 8 {
        return Err("a Tune that is too short".into());
    }
    let (channels, frames, heartbeat) = (tune.get_u16(), tune.get_u32(), 0);
    let mut tune_ok = method(10, 31);
    tune_ok.put_u16(channels);
    tune_ok.put_u32(frames);
    tune_ok.put_u16(heartbeat);
    let mut open = method(10, 40);
    short(&mut open, &login.vhost);
    short(&mut open, "");
    open.put_u8(0);
    send(&mut stream, &[frame(&tune_ok), frame(&open)].concat()).await?;
    expect(&mut stream, OPEN_OK).await?;
    let mut close = method(10, 50);
    close.put_u16(200);
    short(&mut close, "probed");
    close.put_u32(0);
    send(&mut stream, &frame(&close)).await?;
    Ok(format!("opened virtual host `{}` as `{}`", login.vhost, login.user))
}

async fn send(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), String> {
    stream.write_all(bytes).await.map_err(|error| super::brief(&error))
}

/// The arguments of the next method, which must be this one.
async fn expect(stream: &mut TcpStream, wanted: (u16, u16)) -> Result<Bytes, String> {
    loop {
        let mut head = [0; 7];
        read(stream, &mut head).await?;
        let (kind, size) = (
            head[0],
            u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize,
        );
        if &head[..4] == b"AMQP" || size > LONGEST {
            return Err("it speaks no AMQP 0-9-1".into());
        }
        let mut body = vec![0; size + 1];
        read(stream, &mut body).await?;
        // Heartbeats may come in between.
        if kind != 1 {
            continue;
        }
        let mut body = Bytes::from(body);
        if body.len() < 4 {
            return Err("a method frame that is too short".into());
        }
        let found = (body.get_u16(), body.get_u16());
        return match found {
            _ if found == wanted => Ok(body),
            CLOSE => Err(refusal(body)),
            _ => Err(format!("method {found:?} where {wanted:?} was expected")),
        };
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<(), String> {
    stream
        .read_exact(buffer)
        .await
        .map(|_| ())
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::UnexpectedEof => "connection closed".into(),
            _ => error.to_string(),
        })
}

/// The code and the words of a `Close`.
fn refusal(mut body: Bytes) -> String {
    if body.remaining() < 3 {
        return "connection closed".into();
    }
    let (code, length) = (body.get_u16(), usize::from(body.get_u8()));
    let text = body.split_to(length.min(body.len()));
    format!("{code} {}", String::from_utf8_lossy(&text))
}

fn method(class: u16, number: u16) -> BytesMut {
    let mut buffer = BytesMut::new();
    buffer.put_u16(class);
    buffer.put_u16(number);
    buffer
}

fn frame(method: &[u8]) -> Vec<u8> {
    let mut frame = vec![1, 0, 0];
    frame.extend_from_slice(&(method.len() as u32).to_be_bytes());
    frame.extend_from_slice(method);
    frame.push(0xce);
    frame
}

fn short(buffer: &mut BytesMut, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(255)];
    buffer.put_u8(bytes.len() as u8);
    buffer.put_slice(bytes);
}

fn long(buffer: &mut BytesMut, bytes: &[u8]) {
    buffer.put_u32(bytes.len() as u32);
    buffer.put_slice(bytes);
}

fn table(buffer: &mut BytesMut, entries: &[(&str, &str)]) {
    let mut inner = BytesMut::new();
    for (name, value) in entries {
        short(&mut inner, name);
        inner.put_u8(b'S');
        long(&mut inner, value.as_bytes());
    }
    long(buffer, &inner);
}
