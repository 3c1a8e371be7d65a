//! The client's side, played by hand: what a client sends, byte for byte, and what must come back.

use super::flag::{cap, com, status};
use super::packet::PART_BYTES_MAX;
use super::*;
use proptest::prelude::*;

const SALT: [u8; 20] = *b"01234567890123456789";
const BASE: u32 = cap::LONG_PASSWORD | cap::PROTOCOL_41 | cap::SECURE_CONNECTION | cap::TRANSACTIONS;
const MAX: usize = 1 << 20;

fn frame(seq: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut seq = seq;
    let at = packet::begin(&mut out);
    out.extend_from_slice(body);
    packet::end(&mut out, at, &mut seq);
    out
}

/// What a server wrote, packet by packet: (number, body).
fn packets(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut list = Vec::new();
    let mut reader = Packets::new(usize::MAX);
    while let Some(packet) = reader.take(&mut bytes).expect("a server's packets are in order") {
        list.push((packet.first_seq, packet.head.into_iter().chain(packet.body).collect()));
        reader = Packets::new(usize::MAX);
    }
    assert!(reader.idle(), "a server ends its packets");
    list
}

fn response(caps: u32, user: &str, answer: &[u8], database: &str, plugin: &str) -> Vec<u8> {
    let mut body = caps.to_le_bytes().to_vec();
    body.extend_from_slice(&(1_u32 << 24).to_le_bytes());
    body.push(45);
    body.extend_from_slice(&[0; 23]);
    body.extend_from_slice(user.as_bytes());
    body.push(0);
    body.push(answer.len() as u8);
    body.extend_from_slice(answer);
    if caps & cap::CONNECT_WITH_DB != 0 {
        body.extend_from_slice(database.as_bytes());
        body.push(0);
    }
    if caps & cap::PLUGIN_AUTH != 0 {
        body.extend_from_slice(plugin.as_bytes());
        body.push(0);
    }
    if caps & cap::CONNECT_ATTRS != 0 {
        let mut block = Vec::new();
        reply::counted(&mut block, b"program_name");
        reply::counted(&mut block, b"tests");
        reply::counted(&mut body, &block);
    }
    body
}

fn greeted() -> (Connection, Vec<u8>) {
    let mut out = Vec::new();
    let hello = Hello { version: "8.0.42-plait", connection: 258, salt: SALT, packet_bytes_max: MAX };
    let conn = Connection::open(hello, &mut out);
    (conn, out)
}

/// A connection past its login, with these capabilities.
fn ready(caps: u32) -> Connection {
    let (mut conn, mut out) = greeted();
    conn.feed(&frame(1, &response(BASE | caps, "plait", &auth::scramble("plait", &SALT), "", auth::NATIVE)));
    assert!(matches!(conn.next(&mut out), Some(Ok(Event::Login(_)))));
    conn.ok(&Okay::default(), false, &mut out);
    conn
}

fn login(event: Option<Result<Event, Error>>) -> Login {
    match event {
        Some(Ok(Event::Login(login))) => login,
        other => panic!("a login was due, and {other:?} came"),
    }
}

fn command(conn: &mut Connection, body: &[u8]) -> (Option<Result<Event, Error>>, Vec<u8>) {
    let mut out = Vec::new();
    conn.feed(&frame(0, body));
    (conn.next(&mut out), out)
}

#[test]
fn the_greeting_is_the_one_that_clients_know() {
    let (_, out) = greeted();
    let list = packets(&out);
    let (seq, body) = &list[0];
    assert_eq!((list.len(), *seq, body[0]), (1, 0, 10));
    let mut fields = Fields(&body[1..]);
    assert_eq!(fields.zero_ended(), Some(&b"8.0.42-plait"[..]));
    assert_eq!(fields.u32(), Some(258));
    assert_eq!(fields.raw(9), Some(&b"01234567\0"[..]));
    let low = fields.u16().map(u32::from);
    fields.raw(3);
    let high = fields.u16().map(u32::from);
    assert_eq!(low.zip(high).map(|(low, high)| low | high << 16), Some(cap::SERVER));
    assert_eq!(fields.u8(), Some(21));
    fields.raw(10);
    assert_eq!(fields.raw(13), Some(&b"890123456789\0"[..]));
    assert_eq!(fields.zero_ended(), Some(auth::NATIVE.as_bytes()));
    assert!(fields.0.is_empty());
}

#[test]
fn a_salt_has_neither_zero_nor_dollar() {
    let mut random = [0; 20];
    random[..4].copy_from_slice(&[0, 0x80, b'$', b'$' | 0x80]);
    assert!(auth::salt(random).iter().all(|byte| *byte != 0 && *byte != b'$' && *byte < 0x80));
}

#[test]
fn a_password_is_proved_and_a_wrong_one_is_not() {
    for caps in [0, cap::PLUGIN_AUTH, cap::PLUGIN_AUTH | cap::CONNECT_WITH_DB | cap::CONNECT_ATTRS] {
        let (mut conn, mut out) = greeted();
        let answer = auth::scramble("plait", &SALT);
        conn.feed(&frame(1, &response(BASE | caps, "ann", &answer, "shop", auth::NATIVE)));
        let login = login(conn.next(&mut out));
        assert!(login.proves(&auth::stored("plait")));
        assert!(!login.proves(&auth::stored("plait2")) && !login.proves(&None));
        assert_eq!(login.user, "ann");
        assert_eq!(login.database.as_deref(), (caps & cap::CONNECT_WITH_DB != 0).then_some("shop"));
        assert_eq!(login.attributes.len(), usize::from(caps & cap::CONNECT_ATTRS != 0));
        out.clear();
        conn.ok(&Okay::default(), false, &mut out);
        assert_eq!(packets(&out), [(2, vec![0, 0, 0, 2, 0, 0, 0])]);
        assert!(conn.idle() && !conn.closed());
    }
}

#[test]
fn what_is_kept_of_a_password_is_its_double_hash() {
    // SELECT PASSWORD('password') of a MySQL server, without its star.
    let hex = |kept: Stored| kept.unwrap().0.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    assert_eq!(hex(auth::stored("password")), "2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19");
    assert_eq!(auth::stored(""), None);
}

#[test]
fn an_empty_password_is_no_answer() {
    let (mut conn, mut out) = greeted();
    conn.feed(&frame(1, &response(BASE, "ann", b"", "", "")));
    let login = login(conn.next(&mut out));
    assert!(login.proves(&None) && !login.proves(&auth::stored("plait")) && !login.with_password());
}

#[test]
fn a_denied_login_ends_the_connection() {
    let (mut conn, mut out) = greeted();
    conn.feed(&frame(1, &response(BASE, "ann", b"", "", "")));
    let login = login(conn.next(&mut out));
    out.clear();
    conn.deny(&login, "10.0.0.1", &mut out);
    let list = packets(&out);
    assert_eq!(&list[0].1[..9], b"\xff\x15\x04#28000");
    assert!(String::from_utf8_lossy(&list[0].1).ends_with("'ann'@'10.0.0.1' (using password: NO)"));
    assert!(conn.closed() && !conn.wants());
    conn.feed(&frame(0, &[com::PING]));
    assert_eq!(conn.next(&mut out), None);
}

#[test]
fn another_plugin_is_asked_to_switch() {
    let (mut conn, mut out) = greeted();
    let other = response(BASE | cap::PLUGIN_AUTH, "ann", &[7; 32], "", "dialog");
    conn.feed(&frame(1, &other));
    out.clear();
    assert_eq!(conn.next(&mut out), None);
    let mut switch = b"\xfemysql_native_password\0".to_vec();
    switch.extend_from_slice(&SALT);
    switch.push(0);
    assert_eq!(packets(&out), [(2, switch)]);
    conn.feed(&frame(3, &auth::scramble("plait", &SALT)));
    let login = login(conn.next(&mut out));
    assert!(login.proves(&auth::stored("plait")));
    out.clear();
    conn.ok(&Okay::default(), false, &mut out);
    assert_eq!(packets(&out)[0].0, 4);
}

#[test]
fn clients_of_another_kind_are_told_why() {
    let cases: [(Vec<u8>, u16); 6] = [
        (b"GET / HTTP/1.1\r\n".to_vec(), 1043),
        (vec![], 1043),
        (BASE.to_le_bytes().to_vec(), 1043),
        (response(cap::PROTOCOL_41, "ann", b"", "", ""), 1251),
        (response(cap::SECURE_CONNECTION, "ann", b"", "", ""), 1043),
        (response(BASE | cap::SSL, "", b"", "", ""), 1043),
    ];
    for (body, code) in cases {
        let (mut conn, mut out) = greeted();
        conn.feed(&frame(1, &body));
        out.clear();
        let why = conn.next(&mut out).expect("an answer").expect_err("a refusal");
        assert_eq!(why.code().0, code, "{why}");
        assert_eq!(&packets(&out)[0].1[..3], &[0xff, code as u8, (code >> 8) as u8]);
        assert!(conn.closed());
        assert_eq!(conn.next(&mut out), None);
    }
}

#[test]
fn commands_that_need_no_host_are_answered_here() {
    let mut conn = ready(0);
    let (event, out) = command(&mut conn, &[com::PING]);
    assert_eq!((event, packets(&out)), (None, vec![(1, vec![0, 0, 0, 2, 0, 0, 0])]));
    for (body, code) in
        [(&[0x05][..], 1047_u16), (&[com::STMT_RESET, 9, 0, 0, 0], 1243), (&[], 1047), (&[0xff], 1047)]
    {
        let (event, out) = command(&mut conn, body);
        assert_eq!(event, None);
        assert_eq!(&packets(&out)[0].1[1..3], &code.to_le_bytes());
    }
    let (event, out) = command(&mut conn, &[com::STMT_CLOSE, 1, 0, 0, 0]);
    assert_eq!((event, out.len()), (Some(Ok(Event::Command(Command::CloseStatement(1)))), 0));
    assert!(!conn.multi_statements());
    let (_, out) = command(&mut conn, &[com::SET_OPTION, 0, 0]);
    assert!(conn.multi_statements());
    assert_eq!(packets(&out), [(1, vec![0xfe, 0, 0, 2, 0])]);
    let (event, _) = command(&mut conn, b"\x03SELECT '\xff'");
    assert_eq!(event, Some(Ok(Event::Command(Command::Query("SELECT  X'ff'".into())))));
    conn.ok(&Okay::default(), false, &mut Vec::new());
    let (event, out) = command(&mut conn, b"\x03SELECT \xff");
    assert_eq!((event, &packets(&out)[0].1[1..3]), (None, &1300_u16.to_le_bytes()[..]));
    assert!(conn.idle());
}

#[test]
fn commands_reach_the_host_in_turn() {
    let mut conn = ready(0);
    let mut out = Vec::new();
    let mut all = frame(0, b"\x03SELECT 1");
    all.extend(frame(0, b"\x02shop"));
    all.extend(frame(0, b"\x04t\0na%"));
    all.extend(frame(0, &[com::STATISTICS]));
    all.extend(frame(0, &[com::RESET_CONNECTION]));
    all.extend(frame(0, &[com::QUIT]));
    conn.feed(&all);
    let wanted = [
        Command::Query("SELECT 1".into()),
        Command::InitDb("shop".into()),
        Command::FieldList { table: "t".into(), pattern: "na%".into() },
        Command::Statistics,
        Command::ResetConnection,
    ];
    for want in wanted {
        assert!(!conn.wants());
        assert_eq!(conn.next(&mut out), Some(Ok(Event::Command(want))));
        assert_eq!(conn.next(&mut out), None, "one question at a time");
        out.clear();
        conn.ok(&Okay::default(), false, &mut out);
        assert_eq!(packets(&out)[0].0, 1, "an answer goes on from its question's number");
    }
    assert_eq!(conn.next(&mut out), Some(Ok(Event::Command(Command::Quit))));
    assert!(conn.closed());
}

fn select(conn: &mut Connection) -> Vec<(u8, Vec<u8>)> {
    let (event, mut out) = command(conn, b"\x03SELECT n, t FROM t");
    assert!(matches!(event, Some(Ok(Event::Command(Command::Query(_))))));
    let columns = [
        Column {
            schema: "shop",
            table: "t",
            name: "n",
            kind: ColumnKind::Int { bits: 64, unsigned: false, width: 0 },
            flags: 0,
        },
        Column { schema: "shop", table: "t", name: "t", kind: ColumnKind::Text { chars_max: 10 }, flags: 0 },
    ];
    conn.begin_rows(&columns, &mut out);
    conn.row([Cell::Int(-120), Cell::Bytes(b"x")], &mut out);
    conn.row([Cell::Int(i64::MIN), Cell::Null], &mut out);
    conn.end_rows(1, true, &mut out);
    conn.ok(&Okay { affected: 300, insert_id: 70_000, info: "hi", ..Okay::default() }, false, &mut out);
    packets(&out)
}

#[test]
fn rows_end_with_eof_or_with_an_ok_in_its_place() {
    let mut conn = ready(0);
    conn.set_status(true, false);
    let list = select(&mut conn);
    assert_eq!(list.len(), 8);
    assert!(list.iter().zip(1..).all(|((seq, _), want)| *seq == want));
    assert_eq!(list[0].1, [2]);
    assert_eq!(&list[1].1[..17], b"\x03def\x04shop\x01t\x01t\x01n\x01n");
    assert_eq!(&list[1].1[17..], [12, 63, 0, 20, 0, 0, 0, 8, 0x80, 0x80, 0, 0, 0]);
    assert_eq!(&list[2].1[17..], [12, 45, 0, 40, 0, 0, 0, 0xfd, 0, 0, 0, 0, 0]);
    assert_eq!(list[3].1, [0xfe, 0, 0, 1, 0]);
    assert_eq!(list[4].1, b"\x04-120\x01x");
    assert_eq!(list[5].1, b"\x14-9223372036854775808\xfb");
    assert_eq!(list[6].1, [0xfe, 1, 0, 1 | status::MORE_RESULTS as u8, 0]);
    assert_eq!(list[7].1, [0, 0xfc, 44, 1, 0xfd, 0x70, 0x11, 0x01, 1, 0, 0, 0, 2, b'h', b'i']);

    let list = select(&mut ready(cap::DEPRECATE_EOF));
    assert_eq!(list.len(), 7);
    assert_eq!(list[5].1, [0xfe, 0, 0, 2 | status::MORE_RESULTS as u8, 0, 1, 0]);
}

#[test]
fn a_client_that_tracks_the_session_is_told_positions() {
    let okay = Okay { gtid: Some("u:9"), schema: Some("shop"), ..Okay::default() };
    let mut out = Vec::new();
    let mut conn = ready(cap::SESSION_TRACK);
    command(&mut conn, b"\x03COMMIT");
    conn.ok(&okay, false, &mut out);
    let mut want = vec![0, 0, 0, 2, 0x40, 0, 0, 0, 14];
    want.extend_from_slice(b"\x01\x05\x04shop\x03\x05\0\x03u:9");
    assert_eq!(packets(&out), [(1, want)]);
    let mut conn = ready(0);
    out.clear();
    command(&mut conn, b"\x03COMMIT");
    conn.ok(&okay, false, &mut out);
    assert_eq!(packets(&out), [(1, vec![0, 0, 0, 2, 0, 0, 0])]);
}

#[test]
fn a_user_can_be_changed() {
    let mut conn = ready(cap::PLUGIN_AUTH);
    let mut body = b"\x11bob\0\x14".to_vec();
    body.extend_from_slice(&auth::scramble("secret", &SALT));
    body.extend_from_slice(b"shop\0\x2d\0mysql_native_password\0");
    let (event, mut out) = command(&mut conn, &body);
    let login = login(event);
    assert!(login.change_user && login.proves(&auth::stored("secret")));
    assert_eq!((login.user.as_str(), login.database.as_deref()), ("bob", Some("shop")));
    conn.err(1045, "28000", "no", &mut out);
    assert!(conn.closed());
}

#[test]
fn the_wrong_number_and_the_too_long_are_refused() {
    let mut conn = ready(0);
    let mut out = Vec::new();
    conn.feed(&frame(3, b"\x03SELECT 1"));
    assert_eq!(conn.next(&mut out), Some(Err(Error::OutOfOrder { got: 3, want: 0 })));
    assert_eq!(&packets(&out)[0].1[..9], b"\xff\x84\x04#08S01");

    let mut conn = ready(0);
    out.clear();
    let mut bytes = frame(0, b"\x0e");
    bytes.extend([0xff, 0xff, 0xff, 0]);
    conn.feed(&bytes);
    let why = Error::TooLarge { got: PART_BYTES_MAX, max: MAX };
    assert_eq!(conn.next(&mut out), Some(Err(why)), "and the ping before it is answered");
    assert_eq!(packets(&out).len(), 2);
}

#[test]
fn a_stranger_may_send_little_and_a_client_much() {
    let (mut conn, mut out) = greeted();
    conn.feed(&frame(1, &vec![0; LOGIN_BYTES_MAX + 1]));
    let why = Error::TooLarge { got: LOGIN_BYTES_MAX + 1, max: LOGIN_BYTES_MAX };
    assert_eq!(conn.next(&mut out), Some(Err(why)));

    let mut conn = ready(0);
    let mut text = b"\x03".to_vec();
    text.resize(MAX, b'x');
    assert!(matches!(command(&mut conn, &text).0, Some(Ok(Event::Command(Command::Query(_))))));
}

#[test]
fn a_packet_longer_than_one_part_comes_and_goes_whole() {
    for len in [PART_BYTES_MAX - 1, PART_BYTES_MAX, PART_BYTES_MAX + 1, 2 * PART_BYTES_MAX] {
        let body = vec![b'x'; len];
        let bytes = frame(5, &body);
        assert_eq!(bytes.len(), len + 4 * (len / PART_BYTES_MAX + 1));
        let mut reader = Packets::new(len);
        let (mut first, mut second) = bytes.split_at(len / 2);
        assert_eq!(reader.take(&mut first), Ok(None));
        let packet = reader.take(&mut second).unwrap().expect("it is whole");
        assert_eq!((packet.first_seq, packet.next_seq), (5, 6 + (len / PART_BYTES_MAX) as u8));
        assert_eq!(packet.body.len() + 1, len);
        let mut reader = Packets::new(len - 1);
        assert!(matches!(reader.take(&mut &bytes[..]), Err(Error::TooLarge { .. })));
    }
}

/// What a conversation looks like from outside, when its bytes come in pieces of these lengths.
fn talk(bytes: &[u8], pieces: &[usize]) -> (Vec<String>, Vec<u8>) {
    let (mut conn, mut out) = greeted();
    let mut seen = Vec::new();
    let mut rest = bytes;
    let mut pieces = pieces.iter().cycle();
    loop {
        while let Some(event) = conn.next(&mut out) {
            seen.push(format!("{event:?}"));
            match event {
                Ok(Event::Command(Command::Quit)) | Err(_) => assert!(conn.closed()),
                Ok(Event::Login(_)) => conn.ok(&Okay::default(), false, &mut out),
                Ok(Event::Command(Command::Statistics)) => conn.text("fine", &mut out),
                Ok(Event::Command(Command::CloseStatement(_))) => {}
                Ok(Event::Command(_)) => conn.err(1064, "42000", "no", &mut out),
            }
        }
        if rest.is_empty() {
            return (seen, out);
        }
        let (now, later) = rest.split_at(rest.len().min(*pieces.next().unwrap_or(&1)));
        conn.feed(now);
        rest = later;
    }
}

fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let command = prop_oneof![
        8 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(|body| (0_u8, body)),
        4 => "[a-zA-Z ]{0,30}".prop_map(|text| (0, [b"\x03", text.as_bytes()].concat())),
        1 => (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..10)),
    ];
    (any::<bool>(), proptest::collection::vec(command, 0..12), proptest::collection::vec(any::<u8>(), 0..20))
        .prop_map(|(enter, commands, tail)| {
            let mut bytes = Vec::new();
            if enter {
                bytes.extend(frame(1, &response(BASE, "ann", &[1; 20], "", "")));
            }
            commands.iter().for_each(|(seq, body)| bytes.extend(frame(*seq, body)));
            bytes.extend(tail);
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_harm_and_pieces_do_not_matter(
        bytes in conversation(),
        pieces in proptest::collection::vec(1_usize..50, 1..8),
    ) {
        let whole = talk(&bytes, &[usize::MAX]);
        prop_assert_eq!(&talk(&bytes, &pieces), &whole);
        packets(&whole.1);
    }

    #[test]
    fn any_login_is_survived(body in proptest::collection::vec(any::<u8>(), 0..200), caps: u32) {
        let (mut conn, mut out) = greeted();
        let mut all = (caps | BASE).to_le_bytes().to_vec();
        all.extend(body);
        conn.feed(&frame(1, &all));
        let _ = conn.next(&mut out);
        packets(&out);
    }

    #[test]
    fn any_change_of_user_is_survived(body in proptest::collection::vec(any::<u8>(), 0..100)) {
        let mut conn = ready(cap::PLUGIN_AUTH | cap::CONNECT_ATTRS);
        let mut all = vec![com::CHANGE_USER];
        all.extend(body);
        command(&mut conn, &all);
    }

    #[test]
    fn a_number_in_a_cell_reads_as_itself(n: i64) {
        let mut out = Vec::new();
        reply::cell(&mut out, Cell::Int(n));
        let text = Fields(&out).counted().map(|digits| String::from_utf8_lossy(digits).into_owned());
        prop_assert_eq!(text, Some(n.to_string()));
    }

    #[test]
    fn a_length_reads_as_itself(n: u64) {
        let mut out = Vec::new();
        reply::lenenc(&mut out, n);
        prop_assert_eq!(Fields(&out).lenenc(), Some(n));
    }
}

/// A statement is prepared, run with values of all kinds, one of them in pieces, and answered in binary.
#[test]
fn a_prepared_statement_takes_its_values_and_answers_in_binary() {
    use super::flag::kind;
    let mut conn = ready(cap::DEPRECATE_EOF);
    let mut out = Vec::new();
    let (event, _) = command(&mut conn, b"\x16SELECT ?");
    assert_eq!(event, Some(Ok(Event::Command(Command::Prepare("SELECT ?".into())))));
    let name = |name, kind| Column { schema: "", table: "", name, kind, flags: 0 };
    let columns = [name("n", ColumnKind::Int { bits: 32, unsigned: false, width: 0 })];
    conn.prepared(7, 8, &columns, &mut out);
    let sent = packets(&out);
    assert_eq!(sent[0].1, [0, 7, 0, 0, 0, 1, 0, 8, 0, 0, 0, 0]);
    assert_eq!(sent.len(), 1 + 8 + 1, "the values' and the columns' definitions");

    let (event, out) =
        command(&mut conn, &[&[com::STMT_SEND_LONG_DATA, 7, 0, 0, 0, 6, 0][..], b"long "].concat());
    assert_eq!((event, out.len()), (None, 0));
    command(&mut conn, &[&[com::STMT_SEND_LONG_DATA, 7, 0, 0, 0, 6, 0][..], b"text"].concat());
    let mut body = vec![com::STMT_EXECUTE, 7, 0, 0, 0, 0, 1, 0, 0, 0, 0b10, 1];
    let kinds = [
        (kind::LONGLONG, 0_u8),
        (kind::NULL, 0),
        (kind::TINY, 0x80),
        (kind::DOUBLE, 0),
        (kind::VAR_STRING, 0),
        (kind::DATETIME, 0),
        (kind::VAR_STRING, 0),
        (kind::TIME, 0),
    ];
    kinds.iter().for_each(|(kind, flag)| body.extend([*kind, *flag]));
    body.extend((-5_i64).to_le_bytes());
    body.push(200);
    body.extend(1.5_f64.to_le_bytes());
    body.extend([2, 0xc3, 0xa9]);
    body.extend([7, 0xe8, 7, 2, 29, 12, 34, 56]);
    body.extend([12, 1, 1, 0, 0, 0, 2, 3, 4, 5, 0, 0, 0]);
    let (event, _) = command(&mut conn, &body);
    let text = |text: &str| Param::Text(text.into());
    let params = vec![
        Param::Int(-5),
        Param::Null,
        Param::UInt(200),
        Param::Double(1.5),
        text("é"),
        text("2024-02-29 12:34:56"),
        text("long text"),
        text("-26:03:04.000005"),
    ];
    assert_eq!(event, Some(Ok(Event::Command(Command::Execute { number: 7, params: params.clone() }))));
    let mut out = Vec::new();
    let kinds = [
        ColumnKind::Int { bits: 8, unsigned: false, width: 0 },
        ColumnKind::Int { bits: 24, unsigned: false, width: 0 },
        ColumnKind::Int { bits: 64, unsigned: true, width: 0 },
        ColumnKind::Double,
        ColumnKind::Text { chars_max: 9 },
        ColumnKind::DateTime,
        ColumnKind::Decimal { digits: 5, scale: 2 },
        ColumnKind::Date,
        ColumnKind::Time,
    ];
    let cells = [
        Cell::Int(-1),
        Cell::Null,
        Cell::UInt(u64::MAX),
        Cell::Bytes(b"1.5"),
        Cell::Bytes(b"abc"),
        Cell::Bytes(b"2024-02-29 12:34:56.5"),
        Cell::Bytes(b"-1.25"),
        Cell::Bytes(b"2024-02-29"),
        Cell::Bytes(b"-26:03:04"),
    ];
    conn.row_binary(&kinds, cells, &mut out);
    let mut want = vec![0, 0b1000, 0, 0xff];
    want.extend([0xff; 8]);
    want.extend(1.5_f64.to_le_bytes());
    want.extend(b"\x03abc");
    want.extend([11, 0xe8, 7, 2, 29, 12, 34, 56]);
    want.extend(500_000_u32.to_le_bytes());
    want.extend(b"\x05-1.25");
    want.extend([4, 0xe8, 7, 2, 29]);
    want.extend([8, 1, 1, 0, 0, 0, 2, 3, 4]);
    assert_eq!(packets(&out)[0].1, want);
    conn.end_rows(0, false, &mut out);

    // The kinds need not be sent again; what is cut short ends the connection, what is unknown does not.
    let (event, out) = command(&mut conn, &[com::STMT_EXECUTE, 8, 0, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!((event, &packets(&out)[0].1[1..3]), (None, &1243_u16.to_le_bytes()[..]));
    let again = [com::STMT_EXECUTE, 7, 0, 0, 0, 0, 1, 0, 0, 0, 0xff, 0];
    let (event, _) = command(&mut conn, &again);
    let nulls = vec![Param::Null; 8];
    assert_eq!(event, Some(Ok(Event::Command(Command::Execute { number: 7, params: nulls }))));
}

proptest! {
    #[test]
    fn no_execution_panics(body: Vec<u8>, params in 0..20_u16) {
        let mut conn = ready(0);
        let mut out = Vec::new();
        command(&mut conn, b"\x16SELECT ?");
        conn.prepared(1, params, &[], &mut out);
        command(&mut conn, &[&[com::STMT_EXECUTE, 1, 0, 0, 0][..], &body].concat());
    }
}

/// A client of the SHA-256 plugin is let in by its short answer, and told so before the OK.
#[test]
fn the_sha2_plugin_is_spoken() {
    for (password, right) in [("plait", true), ("wrong", false)] {
        let (mut conn, mut out) = greeted();
        let salt = SALT;
        let answer = auth::scramble_sha2(password, &salt);
        conn.feed(&frame(1, &response(BASE | cap::PLUGIN_AUTH, "plait", &answer, "", auth::SHA2)));
        out.clear();
        let Some(Ok(Event::Login(login))) = conn.next(&mut out) else { panic!("a login is due") };
        assert_eq!(login.proves(&auth::stored("plait")), right);
        if right {
            conn.ok(&Okay::default(), false, &mut out);
            let sent = packets(&out);
            assert_eq!(sent[0], (2, vec![1, 3]));
            assert_eq!(sent[1].1[0], 0);
        } else {
            conn.deny(&login, "h", &mut out);
            assert_eq!(packets(&out)[0].1[0], 0xff);
        }
    }
}
