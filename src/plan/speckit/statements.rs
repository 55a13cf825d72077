//! What sentences say about order: who waits for whom.

use super::tokens::{List, Reference, Token, lists, past_remark};

/// Some tasks wait for others, as a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// The tasks that wait; none where the task whose line it is waits.
    pub dependents: Option<Vec<Reference>>,
    pub prerequisites: Option<Vec<Reference>>,
}

/// Words after which the prerequisites stand.
const NEEDS: [&str; 30] = [
    "depend",
    "depends",
    "dependent",
    "depending",
    "dependency",
    "dependencies",
    "deps",
    "require",
    "requires",
    "requiring",
    "need",
    "needs",
    "after",
    "follows",
    "prerequisite",
    "prerequisites",
    "prereq",
    "依赖",
    "依赖于",
    "依賴",
    "依賴於",
    "dépend",
    "dépendent",
    "dépendances",
    "depende",
    "dependen",
    "requiere",
    "requer",
    "après",
    "waits",
];
/// Words after which the dependents stand.
const GIVES: [&str; 15] = [
    "block", "blocks", "blocking", "unblock", "unblocks", "before", "precede", "precedes", "prior",
    "阻塞", "bloque", "bloquent", "bloquea", "avant", "enables",
];
/// Words that may stand between a list and its verb without another subject creeping in.
const FILLERS: [&str; 44] = [
    "must",
    "should",
    "can",
    "may",
    "will",
    "to",
    "be",
    "is",
    "are",
    "has",
    "have",
    "all",
    "both",
    "also",
    "only",
    "then",
    "and",
    "which",
    "in",
    "turn",
    "that",
    "complete",
    "completed",
    "complètes",
    "done",
    "finish",
    "finished",
    "pass",
    "fail",
    "run",
    "runs",
    "start",
    "started",
    "begin",
    "parallel",
    "together",
    "immediately",
    "directly",
    "tasks",
    "task",
    "first",
    "ne",
    "必须",
    "需要",
];
/// Words that may stand between a verb and its list.
const DETERMINERS: [&str; 24] = [
    "on",
    "upon",
    "of",
    "by",
    "for",
    "from",
    "the",
    "all",
    "both",
    "either",
    "task",
    "tasks",
    "completion",
    "completing",
    "de",
    "des",
    "du",
    "la",
    "las",
    "les",
    "tâches",
    "until",
    "to",
    "于",
];

/// Reads the statements of one sentence.
pub(super) fn read(tokens: &[Token]) -> Vec<Said> {
    let lists = lists(tokens);
    let mut said = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let next = match tokens.get(at + 1) {
            Some(Token::Word(next)) => next.as_str(),
            _ => "",
        };
        let passive = matches!(word.as_str(), "blocked" | "blockiert");
        let for_others = matches!(word.as_str(), "required" | "needed" | "prerequisite")
            && matches!(next, "for" | "by" | "before");
        if passive && matches!(next, "by" | "until" | "on") || word == "wait" && next == "for" {
            said.extend(needs(tokens, &lists, at));
        } else if for_others || GIVES.contains(&word.as_str()) {
            said.extend(gives(tokens, &lists, at));
        } else if NEEDS.contains(&word.as_str()) {
            said.extend(needs(tokens, &lists, at));
        } else if let Some(postposed) = postposition(tokens, &lists, at) {
            said.push(postposed);
        }
    }
    said
}

/// Tells whether a statement begins with a verb that prerequisites follow.
pub(super) fn opens(tokens: &[Token]) -> bool {
    matches!(tokens.first(), Some(Token::Word(word))
        if NEEDS.contains(&word.as_str()) || word == "blocked")
}

fn needs(tokens: &[Token], lists: &[List], verb: usize) -> Option<Said> {
    let prerequisites = object(tokens, lists, verb, false)?.all();
    Some(Said {
        dependents: subject(tokens, lists, verb).map(List::all),
        prerequisites: Some(prerequisites),
    })
}

fn gives(tokens: &[Token], lists: &[List], verb: usize) -> Option<Said> {
    let dependents = object(tokens, lists, verb, true)?.all();
    Some(Said {
        dependents: Some(dependents),
        prerequisites: subject(tokens, lists, verb).map(List::all),
    })
}

/// Finds the list a verb speaks of: the last one before it with only fillers between.
fn subject<'a>(tokens: &[Token], lists: &'a [List], verb: usize) -> Option<&'a List> {
    let before = lists.partition_point(|list| list.end <= verb);
    let list = &lists[before.checked_sub(1)?];
    let mut at = past_remark(tokens, list.end);
    while at < verb {
        match &tokens[at] {
            Token::Word(word) if FILLERS.contains(&word.as_str()) => {}
            Token::Word(word) if matches!(word.as_str(), "는" | "은" | "가" | "이") => {}
            Token::Mark(')' | ':' | ',' | '：' | '—' | '–' | '-' | '_') => {}
            _ => return None,
        }
        at = past_remark(tokens, at + 1);
    }
    Some(list)
}

/// Finds the list after a verb; a loose one may follow a few words (`before route tasks T025`).
fn object<'a>(tokens: &[Token], lists: &'a [List], verb: usize, loose: bool) -> Option<&'a List> {
    let list = lists.get(lists.partition_point(|list| list.start <= verb))?;
    let between = &tokens[verb + 1..list.start];
    let words = between.iter().filter(|token| matches!(token, Token::Word(_))).count();
    let plain = between.iter().all(|token| match token {
        Token::Word(word) => {
            !NEEDS.contains(&word.as_str())
                && !GIVES.contains(&word.as_str())
                && (loose || list.enclosed || DETERMINERS.contains(&word.as_str()))
        }
        Token::Mark(c) => matches!(c, '(' | '[' | ':' | '：' | '_'),
        _ => false,
    });
    let opens = between.iter().filter(|token| **token == Token::Mark('(')).count();
    let unclosed = opens > 0 && !list.enclosed && between.first() != Some(&Token::Mark('('));
    (plain && words <= 5 && !unclosed).then_some(list)
}

/// Reads the languages that put the verb last: `(T008 완료 후)`, `T009는 T008에 의존`, `T016 完成后`.
fn postposition(tokens: &[Token], lists: &[List], at: usize) -> Option<Said> {
    let Token::Word(word) = &tokens[at] else {
        return None;
    };
    let next = match tokens.get(at + 1) {
        Some(Token::Word(next)) => next.as_str(),
        _ => "",
    };
    let says = ["의존", "에의존", "완료후", "이후", "完成后", "完成後", "之后", "之後"]
        .iter()
        .any(|verb| word.starts_with(verb))
        || (word.starts_with("완료") && (next.starts_with('후') || next.starts_with("이후")));
    if !says {
        return None;
    }
    let index = lists.partition_point(|list| list.end <= at).checked_sub(1)?;
    let list = &lists[index];
    let josa = ["에", "이", "가", "의"];
    let near = tokens[list.end..at]
        .iter()
        .all(|token| matches!(token, Token::Word(word) if josa.contains(&word.as_str())));
    if !near {
        return None;
    }
    let topic = index.checked_sub(1).map(|before| &lists[before]).filter(|before| {
        tokens[before.end..list.start]
            .iter()
            .all(|token| matches!(token, Token::Word(word) if word == "는" || word == "은"))
    });
    Some(Said { dependents: topic.map(List::all), prerequisites: Some(list.all()) })
}

/// Reads `T008, T009 must be sequential`: each waits for the one before it.
pub(super) fn sequential(tokens: &[Token]) -> Option<Vec<Reference>> {
    let lists = lists(tokens);
    tokens.iter().enumerate().find_map(|(at, token)| {
        let Token::Word(word) = token else {
            return None;
        };
        let previous = match at.checked_sub(1).map(|before| &tokens[before]) {
            Some(Token::Word(previous)) => previous.as_str(),
            _ => "",
        };
        let says = matches!(word.as_str(), "sequential" | "sequentially" | "顺序执行" | "순차")
            || (word == "sequence" && previous == "in");
        says.then(|| subject(tokens, &lists, at)).flatten().map(List::all)
    })
}

/// Reads the arrows of a sentence as (prerequisites, dependents).
///
/// In the middle of a chain a comma may end one chain or lengthen a list; only what both readings
/// say is taken.
pub(super) fn arrows(tokens: &[Token]) -> Vec<(Vec<Reference>, Vec<Reference>)> {
    let lists = lists(tokens);
    let marks: Vec<usize> = (0..tokens.len()).filter(|at| tokens[*at] == Token::Arrow).collect();
    let mut pairs = Vec::new();
    for (nth, &arrow) in marks.iter().enumerate() {
        let from = nth.checked_sub(1).map_or(0, |before| marks[before] + 1);
        let to = marks.get(nth + 1).copied().unwrap_or(tokens.len());
        let left = lists.partition_point(|list| list.end <= arrow).checked_sub(1);
        let left = left.map(|at| &lists[at]).filter(|list| list.start >= from);
        let right = lists.get(lists.partition_point(|list| list.start <= arrow));
        let right = right.filter(|list| list.end <= to);
        let (Some(left), Some(right)) = (left, right) else {
            continue;
        };
        let tail = past_remark(tokens, left.end);
        let tail = if left.enclosed { tail + 1 } else { tail };
        let immediate = right.start == arrow + 1 || right.enclosed;
        if tail < arrow || !immediate {
            continue;
        }
        let sources = match left.parts.last() {
            Some(last) if from > 0 => last.clone(),
            _ => left.all(),
        };
        let targets = match right.parts.first() {
            Some(first) if to < tokens.len() => first.clone(),
            _ => right.all(),
        };
        pairs.push((sources, targets));
    }
    pairs
}
