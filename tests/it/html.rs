//! The page for people: one file that loads and runs nothing, in which whatever anybody wrote is
//! text, readable by ear as well, and in which everything the document says can be found.

use std::collections::{BTreeMap, BTreeSet};

use base64ct::{Base64, Encoding as _};
use serde_json::Value;
use sha2::Digest as _;

use crate::exports::{EVIL, played};
use crate::kit::Room;

/// A piece of a page, read by the letter.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Open { name: String, attributes: BTreeMap<String, String> },
    Close(String),
    Text(String),
}

/// What stands for a character that would be read as markup.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

/// Reads a page as strictly as it is written: quoted attributes, and `<` and `&` for markup only.
fn pieces(page: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    while !rest.is_empty() {
        if let Some(tag) = rest.strip_prefix('<') {
            // A style's content is no markup.
            let (inside, after) = tag.split_once('>').expect("a tag ends");
            rest = after;
            if let Some(name) = inside.strip_prefix('/') {
                pieces.push(Piece::Close(name.to_owned()));
                continue;
            }
            let (name, mut words) = inside.split_once(' ').unwrap_or((inside, ""));
            let mut attributes = BTreeMap::new();
            while !words.is_empty() {
                let (attribute, value) = words.split_once("=\"").expect("name=\"value\"");
                let (value, after) = value.split_once('"').expect("the quotes end");
                let twice = attributes.insert(attribute.to_owned(), unescaped(value));
                assert_eq!(twice, None, "{inside}");
                words = after.trim_start();
            }
            pieces.push(Piece::Open { name: name.to_owned(), attributes });
            if name == "style" {
                let (style, after) = rest.split_once("</style>").expect("it ends");
                pieces.push(Piece::Text(style.to_owned()));
                pieces.push(Piece::Close("style".into()));
                rest = after;
            }
            continue;
        }
        let end = rest.find('<').unwrap_or(rest.len());
        let (text, after) = rest.split_at(end);
        for entity in text.split('&').skip(1) {
            let known = ["lt;", "gt;", "quot;", "amp;"].iter().any(|e| entity.starts_with(e));
            assert!(known, "&{entity}");
        }
        assert!(!text.contains('>'), "{text}");
        pieces.push(Piece::Text(unescaped(text)));
        rest = after;
    }
    pieces
}

/// The text of a page, piece by piece, without its style.
fn texts(page: &str) -> Vec<String> {
    let mut styled = false;
    let mut texts = Vec::new();
    for piece in pieces(page) {
        match piece {
            Piece::Open { name, .. } => styled = name == "style",
            Piece::Text(text) if !styled => texts.push(text),
            Piece::Text(_) | Piece::Close(_) => {}
        }
    }
    texts
}

fn all(page: &str, tag: &str) -> Vec<BTreeMap<String, String>> {
    let of_tag = |piece| match piece {
        Piece::Open { name, attributes } if name == tag => Some(attributes),
        _ => None,
    };
    pieces(page).into_iter().filter_map(of_tag).collect()
}

/// The part of a page between two marks.
fn between<'p>(page: &'p str, from: &str, to: &str) -> &'p str {
    let (_, rest) = page.split_once(from).unwrap_or_else(|| panic!("no {from}"));
    rest.split(to).next().unwrap_or(rest)
}

fn html(room: &Room, args: &[&str]) -> String {
    room.ok(&[&["export", "--format", "html"], args].concat())
}

/// Everything a page may hold, and the shape that says what follows what.
fn sound(page: &str) {
    let allowed: BTreeSet<&str> = "html head meta title style body a header h1 h2 h3 h4 p ul li \
        strong code nav main section dl dt dd div span table caption thead tbody tr th td figure \
        figcaption svg desc g path br rect circle text details summary article footer time"
        .split_whitespace()
        .collect();
    let attributes: BTreeSet<&str> = "lang charset http-equiv content name class href id \
        aria-labelledby aria-label aria-hidden tabindex role scope datetime viewBox width height \
        d x y cx cy r rx"
        .split_whitespace()
        .collect();
    let (mut open, mut ids, mut refers) = (Vec::new(), BTreeSet::new(), Vec::new());
    let mut level = 0;
    for piece in pieces(page) {
        match piece {
            Piece::Open { name, attributes: found } => {
                assert!(allowed.contains(&*name), "<{name}>");
                for (attribute, value) in &found {
                    assert!(attributes.contains(&**attribute), "<{name} {attribute}>");
                    match &**attribute {
                        // No address but one on the page itself.
                        "href" => {
                            let id = value.strip_prefix('#').expect("a place on this page");
                            refers.push(id.to_owned());
                        }
                        "aria-labelledby" => refers.extend(value.split(' ').map(str::to_owned)),
                        "id" => assert!(ids.insert(value.clone()), "{value} twice"),
                        _ => {}
                    }
                }
                // Headings go down one by one.
                if let Some(number) = name.strip_prefix('h').and_then(|n| n.parse::<u32>().ok()) {
                    assert!(number <= level + 1, "h{number} after h{level}");
                    level = number;
                }
                if !["meta", "br"].contains(&&*name) {
                    open.push(name);
                }
            }
            Piece::Close(name) => assert_eq!(open.pop().as_deref(), Some(&*name), "</{name}>"),
            Piece::Text(_) => {}
        }
    }
    assert_eq!(open, Vec::<String>::new());
    for id in refers {
        assert!(ids.contains(&id), "nothing is called {id}");
    }
    for tag in ["main", "h1", "header", "footer", "title"] {
        let of_page = all(page, tag).len();
        // A picture's title is called so as well.
        assert!(of_page == 1 || tag == "title", "{of_page} {tag}");
    }
    // Who does not see a picture is told what it shows, and a table what it is of.
    for picture in page.split("<svg ").skip(1) {
        let picture = picture.split("</svg>").next().unwrap_or(picture);
        assert!(picture.contains("role=\"img\" aria-labelledby="), "{picture}");
        assert!(picture.contains("<title id=") && picture.contains("<desc id="), "{picture}");
    }
    for table in page.split("<table>").skip(1) {
        assert!(table.starts_with("<caption>"), "{}", &table[..80]);
    }
    for head in all(page, "th") {
        assert!(head.contains_key("scope"), "{head:?}");
    }
    // The policy lets in nothing but this very style.
    let (style, _) =
        page.split_once("<style>").expect("a style").1.split_once("</style>").expect("it ends");
    let digest = Base64::encode_string(&sha2::Sha256::digest(style.as_bytes()));
    let policy = all(page, "meta")
        .into_iter()
        .find(|meta| meta.get("http-equiv").is_some_and(|name| name == "Content-Security-Policy"))
        .expect("a policy");
    let expected = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    );
    assert_eq!(policy["content"], expected);
    assert!(!style.contains("url(") && !style.contains("@import"), "the style loads something");
    let bad = page.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(bad, None);
}

/// Whatever a plan, a person or an executor wrote is on the page as they wrote it, and nowhere as
/// anything but text.
#[test]
fn whatever_anybody_wrote_is_text() {
    let room = played();
    let page = html(&room, &[]);
    sound(&page);
    let texts = texts(&page);
    for (n, evil) in EVIL.iter().enumerate() {
        // What would act is shown instead; what is too long for a table ends in an ellipsis.
        let shown = evil.replace("\r\n", "\\u{d} ").replace('\u{1b}', "\\u{1b}");
        let shown = shown.replace('\u{202e}', "\\u{202e}");
        assert!(texts.contains(&shown), "E{n}: {shown}");
    }
    for n in 0..EVIL.len() {
        let one = html(&room, &[&format!("E{n}")]);
        sound(&one);
        assert!(one.contains(&format!("<title>E{n}: ")), "it is called by its item");
    }
    // Words that a page would obey, in every place the product lets somebody write.
    room.write(
        "evil.yaml",
        "name: evil\nsteps:\n\
         \x20 - { key: one, title: '</title></svg><script>alert(1)</script>' }\n\
         \x20 - { key: two, title: '\"><img src=x onerror=alert(1)>' }\n\
         \x20 - { key: look, title: '&lt;b&gt;', gate: { kind: review, rejectTo: one } }\n",
    );
    let evil = "x--></style><script src=//e.example></script>";
    room.ok(&[
        "delegate",
        "--plan",
        "evil.yaml",
        "--work-item",
        "X",
        "--title",
        evil,
        "--label",
        evil,
        "--owner",
        "o@example.org",
    ]);
    for step in ["one", "two"] {
        let act = ["--work-item", "X", "--step", step, "--executor", "x"];
        room.ok(&[&["claim"], &act[..]].concat());
        room.ok(&[&["complete"], &act[..], &["--outcome", evil]].concat());
    }
    room.ok(&["gate", "reject", "--work-item", "X", "--step", "look", "--reason", evil]);
    let page = html(&room, &[]);
    sound(&page);
    let one = html(&room, &["X"]);
    sound(&one);
    for page in [&page, &one] {
        let texts = self::texts(page);
        assert!(texts.iter().any(|text| text.contains(evil)));
        for title in ["</title></svg><script>alert(1)</script>", "\"><img src=x onerror=alert(1)>"]
        {
            assert!(texts.iter().any(|text| text.contains(title)), "{title}");
        }
        assert!(texts.contains(&"&lt;b&gt;".to_owned()), "what is escaped already is text too");
    }
}

/// One item is told whole: every step, every attempt, every fact, and a picture of all of it.
#[test]
fn one_item_is_told_whole() {
    let room = played();
    let page = html(&room, &["E0"]);
    let document: Value = serde_json::from_str(&room.ok(&["export", "E0"])).expect("one document");
    let item = &document["items"][0];
    let steps = item["item"]["steps"].as_array().expect("steps");
    let picture = between(&page, "<svg class=\"graph\"", "</svg>");
    assert_eq!(picture.matches("<g class=\"step is-").count(), steps.len());
    let table = between(&page, "<caption>Steps of E0</caption>", "</table>");
    for step in steps {
        let (key, state) =
            (step["key"].as_str().expect("a key"), step["state"].as_str().expect("a word"));
        let row = table.split("<tr>").find(|row| {
            row.starts_with(&format!("<th scope=\"row\">{key}<"))
                || row.starts_with(&format!("<th scope=\"row\">◆ {key}<"))
        });
        let row = row.unwrap_or_else(|| panic!("no row of {key}"));
        assert!(row.contains(&format!("is-{state}\">{state}<")), "{row}");
        for attempt in step["attempts"].as_array().expect("attempts") {
            let id = attempt["attemptId"].as_str().expect("an id");
            assert!(row.contains(&format!("<li>{id} ")), "{id} {row}");
        }
        assert!(picture.contains(&format!("<g class=\"step is-{state}\"><title>{key}: ")), "{key}");
    }
    let facts = item["artifacts"].as_array().expect("artifacts");
    let history = between(&page, "<caption>History of E0", "</table>");
    let rows: Vec<&str> = history.split("<tr>").skip(2).collect();
    assert_eq!(rows.len(), facts.len());
    for (row, fact) in rows.iter().zip(facts) {
        let kind = fact["eventType"].as_str().expect("a kind");
        assert!(row.contains(&format!("<td>{kind}</td>")), "{row}");
        // Nothing of what was said is cut.
        let texts = texts(&format!("<!DOCTYPE html>{row}"));
        for said in [&fact["outcome"]["summary"], &fact["nextAction"]] {
            let said = said.as_str().expect("text").replace("\r\n", "\n");
            assert!(texts.iter().any(|text| text.trim() == said.trim()), "{said}\n{row}");
        }
    }
    // As many arrows as the Mermaid report has.
    let report = room.ok(&["export", "--format", "md", "E0"]);
    let mermaid = between(&report, "flowchart TD\n", "```");
    let arrows = mermaid.lines().filter(|l| l.contains("-->") || l.contains("==>")).count();
    assert_eq!(picture.matches("<path class=\"arrow").count(), arrows);
}

/// The portfolio's page: its numbers are those of `metrics`, its rows those of `status`.
#[test]
fn the_page_says_what_the_other_commands_say() {
    let (room, _) = crate::metrics::by_hand();
    let page = html(&room, &[]);
    sound(&page);
    for (name, value, more) in [
        ("Finished", "3", "in 9h 30m"),
        ("In progress", "2", "1.7 on average"),
        ("Lead time, half within", "7h 0m", "85% within 9h 0m"),
        ("Cycle time, half within", "4h 30m", "85% within 6h 0m"),
        ("Flow efficiency", "37.8%", "worked on, of the lead time"),
        ("Right the first time", "33.3%", "1 of 3"),
        ("Sent back", "20.0%", "1 of 5"),
    ] {
        let card = format!("<dt>{name}</dt><dd><strong>{value}</strong><span>{more}</span></dd>");
        assert!(
            page.contains(&card),
            "{card}\n{}",
            between(&page, "<dl class=\"cards\">", "</dl>")
        );
    }
    // A dot for each finished item, A as one that was sent back.
    let scatter = between(&page, "<desc id=\"scatter-says\">", "</svg>");
    assert_eq!(scatter.matches("<circle class=\"dot finished\"").count(), 2);
    assert_eq!(scatter.matches("<path class=\"dot back\"").count(), 1);
    assert!(scatter.contains("<title>A: 6h 0m, sent back</title>"), "{scatter}");
    // Bars as high as what was finished in that hour: A at 16, D at 17, B at 18.
    let bars = between(&page, "<desc id=\"throughput-says\">", "</svg>");
    for hour in ["16:00: 1", "17:00: 1", "18:00: 1"] {
        assert!(bars.contains(&format!("<title>2026-11-02 {hour}</title>")), "{hour} {bars}");
    }
    assert_eq!(bars.matches("<rect class=\"bar").count(), 3);
    // C and E are the only ones that age.
    let ages = between(&page, "<desc id=\"ages-says\">", "</svg>");
    assert!(ages.contains("<title>C: 6h 30m, in-progress</title>"), "{ages}");
    let table = between(&page, "<caption>Items, by id</caption>", "</table>");
    let status = room.ok(&["status", "--quiet"]);
    assert_eq!(table.matches("<tr>").count(), 1 + status.lines().count());
    for line in status.lines() {
        let (id, word) = line.split_once('\t').expect("an id and a word");
        let row = table.split("<tr>").find(|row| row.contains(&format!(">{id}</a></th>")));
        let row = row.unwrap_or_else(|| panic!("no row of {id}"));
        assert!(row.contains(&format!(">{word}<")), "{row}");
        assert!(page.contains(&format!("<article id=\"item-{}\"", id.to_lowercase())));
    }
    assert!(
        page.contains(
            "<time datetime=\"2026-11-02T18:30:00Z\">2026-11-02 18:30</time> UTC: 5 items"
        )
    );
}

/// A page with many items tells some of them whole, says how many it does not, and how to see one.
#[test]
fn what_is_left_out_is_said_with_how_to_get_it() {
    let room = Room::in_memory();
    for n in 1..=63 {
        room.ok(&["delegate", "--prompt", "x", "--work-item", &format!("N{n}"), "--quiet"]);
    }
    let page = html(&room, &[]);
    sound(&page);
    assert_eq!(all(&page, "article").len(), 60);
    assert!(page.contains(
        "3 more are in the table above. <code>stepseal export ITEM --format html</code>"
    ));
    // What changed last is told; what was there first is in the table only.
    assert!(page.contains("<article id=\"item-n63\"") && !page.contains("<article id=\"item-n1\""));
    let table = between(&page, "<caption>Items, by id</caption>", "</table>");
    assert!(table.contains("<th class=\"id\" scope=\"row\">N1</th>"), "no link to nowhere");
    let one = html(&room, &["N1"]);
    assert!(one.contains("<article id=\"item-n1\""));
    // What is not over goes before what changed last.
    for n in 2..=63 {
        let item = format!("N{n}");
        room.ok(&["cancel", "--work-item", &item, "--reason", "x", "--quiet"]);
    }
    let page = html(&room, &[]);
    assert!(page.contains("<article id=\"item-n1\"") && !page.contains("<article id=\"item-n2\""));
    let none = html(&room, &["--label", "nobody's"]);
    sound(&none);
    assert!(none.contains("There are no items."), "{none}");
    assert!(none.contains("<li>label <strong>nobody's</strong></li>"), "{none}");
}

#[test]
fn a_stopped_item_is_named_on_the_page() {
    let room = played();
    let path = room.ledger_file("E3/000001-_item-work-item-registered.json");
    room.tamper(&[(&path, Some("{}\n"))]);
    let ran = room.run(&["export", "--format", "html"]);
    assert_eq!(ran.code, 10, "{ran}");
    sound(&ran.stdout);
    assert!(ran.stdout.contains(&format!("<strong>E3</strong>: <code>{path}</code>")));
    assert!(!ran.stdout.contains("<article id=\"item-e3\""));
}

/// A workflow of any shape is drawn, each step below what it waits for, or said to be too large.
#[test]
fn graphs_are_drawn_or_said_to_be_too_large() {
    let room = Room::in_memory();
    room.write("wide.yaml", &crate::kit::parallel_workflow("wide", 40));
    room.write("large.yaml", &crate::kit::parallel_workflow("large", 401));
    for name in ["wide", "large"] {
        room.ok(&["delegate", "--plan", &format!("{name}.yaml"), "--work-item", name]);
    }
    let wide = html(&room, &["wide"]);
    sound(&wide);
    assert_eq!(wide.matches("<g class=\"step is-ready\"").count(), 40);
    let large = html(&room, &["large"]);
    sound(&large);
    assert_eq!(large.matches("<g class=\"step").count(), 0);
    assert!(large.contains("401 steps: more than a picture shows."), "it says so");
    assert_eq!(between(&large, "<caption>Steps of large", "</table>").matches("<tr>").count(), 402);
}

/// What was done under steps that an item no longer has is in sight.
#[test]
fn an_item_that_moved_shows_what_it_left_behind() {
    let room = crate::metrics::moved();
    let page = html(&room, &["A"]);
    sound(&page);
    let table = between(&page, "<caption>Steps of A</caption>", "</table>");
    for (key, tried) in [("a", "a.1 completed"), ("b", "b.1 queued")] {
        let row =
            table.split("<tr>").find(|row| row.starts_with(&format!("<th scope=\"row\">{key}<")));
        let row = row.unwrap_or_else(|| panic!("no row of {key}"));
        assert!(row.contains("of an earlier version") && row.contains(tried), "{row}");
    }
    assert!(page.contains("from w@1 to w@2"), "{page}");
}
