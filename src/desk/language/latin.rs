//! Languages in Latin letters: by the small words that every sentence has, by letters that few languages
//! have, and by the trigrams of `whatlang` where there are enough of them.

use std::sync::LazyLock;

use whatlang::{Detector, Lang};

use super::{Clue, Guess};
use crate::desk::table::Table;

/// A language with its small words, and letters that point to it.
struct Latin {
    tag: &'static str,
    letters: &'static str,
    words: &'static [&'static str],
}

/// Below this many letters trigrams say nothing.
const TRIGRAM_LETTERS_MIN: usize = 24;
/// So sure must they be to decide alone.
const TRIGRAM_CONFIDENCE_MIN: f64 = 0.85;
/// They count as so many words.
const TRIGRAM_WEIGHT: u32 = 3;

const LANGUAGES: &[Latin] = &[
    Latin {
        tag: "en",
        letters: "",
        words: &[
            "the", "and", "is", "my", "i", "to", "of", "it", "you", "your", "have", "has", "not",
            "this", "that", "with", "for", "was", "are", "how", "what", "when", "why", "where",
            "who", "can", "can't", "cannot", "i'm", "don't", "doesn't", "didn't", "please", "help",
            "hello", "hi", "hey", "thanks", "thank", "from", "there", "been", "would", "could",
            "should", "will", "any", "still", "yes", "but", "they", "we", "be", "just", "someone",
            "urgent", "need", "want", "an", "me", "no", "call", "lost", "did", "does", "get",
            "got", "after", "before", "our", "so", "if", "or",
        ],
    },
    Latin {
        tag: "es",
        letters: "ñ¿¡",
        words: &[
            "el", "los", "las", "que", "y", "es", "una", "mi", "mis", "por", "para", "con", "hola",
            "gracias", "como", "cómo", "qué", "está", "muy", "pero", "puedo", "quiero", "tengo",
            "necesito", "ayuda", "desde", "del", "al", "cuándo", "dónde", "buenos", "días",
            "buenas", "usted", "ha", "he", "se", "lo", "su", "favor", "un", "no", "me",
        ],
    },
    Latin {
        tag: "pt",
        letters: "ãõ",
        words: &[
            "não", "uma", "meu", "minha", "você", "obrigado", "obrigada", "olá", "oi", "com",
            "para", "por", "que", "está", "estou", "como", "eu", "ajuda", "preciso", "posso",
            "fazer", "foi", "mas", "muito", "bom", "dia", "do", "da", "os", "em", "isso", "quero",
            "consigo", "um", "o", "e", "me", "no", "na",
        ],
    },
    Latin {
        tag: "fr",
        letters: "œ",
        words: &[
            "le", "les", "des", "et", "est", "une", "mon", "ma", "mes", "je", "j'ai", "vous",
            "nous", "pas", "ne", "pour", "avec", "dans", "sur", "bonjour", "merci", "comment",
            "pourquoi", "où", "quand", "c'est", "qui", "mais", "plus", "aide", "aidez", "moi",
            "votre", "été", "suis", "un", "la", "de", "il", "que", "bonsoir", "salut",
        ],
    },
    Latin {
        tag: "de",
        letters: "ßäöü",
        words: &[
            "der", "die", "das", "und", "ist", "ich", "nicht", "ein", "eine", "mein", "meine",
            "meinen", "sie", "mit", "auf", "für", "zu", "den", "dem", "von", "wie", "was", "warum",
            "wann", "wo", "bitte", "hilfe", "hallo", "danke", "guten", "tag", "habe", "kann",
            "wird", "wurde", "noch", "aber", "auch", "mir", "es", "im", "kein", "keine",
        ],
    },
    Latin {
        tag: "it",
        letters: "",
        words: &[
            "il",
            "gli",
            "che",
            "è",
            "e",
            "un",
            "una",
            "mio",
            "mia",
            "miei",
            "non",
            "per",
            "con",
            "sono",
            "ho",
            "ciao",
            "grazie",
            "buongiorno",
            "come",
            "perché",
            "dove",
            "quando",
            "posso",
            "vorrei",
            "aiuto",
            "della",
            "del",
            "nel",
            "alla",
            "ma",
            "questo",
            "mi",
            "di",
            "da",
            "ancora",
            "salve",
            "è",
        ],
    },
    Latin {
        tag: "nl",
        letters: "",
        words: &[
            "het", "een", "en", "ik", "niet", "mijn", "met", "voor", "van", "op", "zijn", "heb",
            "hallo", "bedankt", "dank", "hoe", "waarom", "wanneer", "waar", "kan", "kunt", "u",
            "jullie", "naar", "nog", "maar", "ook", "graag", "dit", "dat", "wat", "geen", "te",
            "is", "wordt", "hulp", "de",
        ],
    },
    Latin {
        tag: "pl",
        letters: "łąęśżźćń",
        words: &[
            "nie",
            "się",
            "jest",
            "na",
            "do",
            "to",
            "jak",
            "co",
            "mój",
            "moje",
            "moja",
            "mam",
            "proszę",
            "dzień",
            "dobry",
            "dziękuję",
            "cześć",
            "pomoc",
            "dlaczego",
            "kiedy",
            "gdzie",
            "czy",
            "ale",
            "od",
            "po",
            "w",
            "z",
            "i",
        ],
    },
    Latin {
        tag: "tr",
        letters: "ğşı",
        words: &[
            "ve",
            "bir",
            "bu",
            "için",
            "merhaba",
            "teşekkürler",
            "lütfen",
            "yardım",
            "nasıl",
            "neden",
            "ne",
            "zaman",
            "nerede",
            "hesabım",
            "var",
            "yok",
            "ama",
            "çok",
            "ben",
            "benim",
            "değil",
            "mi",
            "mı",
            "ile",
            "de",
            "da",
            "olarak",
        ],
    },
    Latin {
        tag: "vi",
        letters: "ơưđạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ",
        words: &[
            "tôi", "không", "của", "và", "là", "có", "cho", "được", "xin", "chào", "cảm", "ơn",
            "giúp", "làm", "sao", "thế", "nào", "khi", "ví", "tiền", "bị", "đã", "này", "mình",
            "ạ", "em", "anh",
        ],
    },
    Latin {
        tag: "id",
        letters: "",
        words: &[
            "saya",
            "tidak",
            "yang",
            "dan",
            "di",
            "ke",
            "dari",
            "untuk",
            "dengan",
            "ini",
            "itu",
            "bisa",
            "bagaimana",
            "kenapa",
            "mengapa",
            "kapan",
            "tolong",
            "terima",
            "kasih",
            "halo",
            "selamat",
            "akun",
            "sudah",
            "belum",
            "ada",
            "dompet",
            "mohon",
            "bantu",
            "apa",
            "ada",
            "kami",
        ],
    },
    Latin {
        tag: "sv",
        letters: "å",
        words: &[
            "jag", "inte", "och", "är", "det", "att", "på", "för", "med", "min", "mitt", "mina",
            "hej", "tack", "hur", "varför", "när", "kan", "har", "till", "från", "en", "ett",
            "som", "ni", "hjälp",
        ],
    },
    Latin {
        tag: "cs",
        letters: "řěů",
        words: &[
            "není", "jsem", "jak", "prosím", "děkuji", "dobrý", "den", "můj", "moje", "mám", "že",
            "na", "se", "proč", "kdy", "kde", "ale", "pomoc", "ahoj",
        ],
    },
    Latin {
        tag: "ro",
        letters: "șțăâ",
        words: &[
            "nu",
            "este",
            "și",
            "si",
            "am",
            "meu",
            "mea",
            "cum",
            "vă",
            "va",
            "rog",
            "mulțumesc",
            "multumesc",
            "bună",
            "ziua",
            "pentru",
            "sunt",
            "din",
            "pe",
            "cu",
            "de",
            "ce",
            "când",
            "unde",
        ],
    },
];

pub(super) fn detect(words: &[String]) -> Option<Guess> {
    let scores = scores(words);
    match clear_winner(&scores) {
        Some(tag) => Some(Guess { tag, clue: Clue::Sure }),
        None => weigh(scores, trigrams(words)),
    }
}

fn weigh(
    mut scores: Vec<(&'static str, u32)>,
    trigrams: Option<(&'static str, f64)>,
) -> Option<Guess> {
    if let Some((tag, confidence)) = trigrams
        && let Some((_, score)) = scores.iter_mut().find(|(known, _)| *known == tag)
    {
        *score += if confidence > TRIGRAM_CONFIDENCE_MIN { TRIGRAM_WEIGHT } else { 1 };
    }
    scores.sort_by_key(|(_, score)| std::cmp::Reverse(*score));
    let (best, score) = scores.first().copied()?;
    let second = scores.get(1).map_or(0, |(_, score)| *score);
    let guess = |tag, clue| Some(Guess { tag, clue });
    // A language without a table of its own: only its trigrams can tell.
    if let Some((tag, confidence)) = trigrams
        && confidence > TRIGRAM_CONFIDENCE_MIN
        && score < 3
    {
        return guess(tag, Clue::Sure);
    }
    if score >= 4 && score * 3 >= second * 4 {
        return guess(best, Clue::Sure);
    }
    if score > second {
        return guess(best, Clue::Weak);
    }
    trigrams.and_then(|(tag, _)| guess(tag, Clue::Weak))
}

/// The language that would be the best and sure whatever the trigrams say, which add [`TRIGRAM_WEIGHT`] to one of
/// them at most. They cost more than all else that is asked of a text here.
fn clear_winner(scores: &[(&'static str, u32)]) -> Option<&'static str> {
    let (best, score) = scores.iter().copied().max_by_key(|(_, score)| *score)?;
    let others = scores.iter().filter(|(tag, _)| *tag != best);
    let second = others.map(|(_, score)| *score).max().unwrap_or(0) + TRIGRAM_WEIGHT;
    (score >= 4 && score * 3 >= second * 4).then_some(best)
}

/// A set of [`LANGUAGES`]: one bit each.
type Languages = u32;

/// Each small word with the languages that have it.
static WORDS: LazyLock<Table<&str, Languages>> =
    LazyLock::new(|| collect(|language| language.words.iter().copied()));

/// The same for the letters.
static LETTERS: LazyLock<Table<char, Languages>> =
    LazyLock::new(|| collect(|language| language.letters.chars()));

fn collect<K, I>(of: impl Fn(&'static Latin) -> I) -> Table<K, Languages>
where
    K: std::hash::Hash + Eq,
    I: Iterator<Item = K>,
{
    let mut known = Table::default();
    for (place, language) in LANGUAGES.iter().enumerate() {
        for one in of(language) {
            *known.entry(one).or_default() |= 1 << place;
        }
    }
    known
}

/// What speaks for each language. A small word counts twice if no other language has it.
fn scores(words: &[String]) -> Vec<(&'static str, u32)> {
    let mut scores: Vec<_> = LANGUAGES.iter().map(|language| (language.tag, 0)).collect();
    for word in words {
        let of_word = WORDS.get(word.as_str()).copied().unwrap_or_default();
        let letters = word.chars().filter(|c| !c.is_ascii());
        let of_letters = letters
            .filter_map(|c| LETTERS.get(&c))
            .fold(Languages::default(), |all, languages| all | languages);
        let counts = if of_word.is_power_of_two() { 2 } else { 1 };
        for (place, (_, score)) in scores.iter_mut().enumerate() {
            if of_word >> place & 1 == 1 {
                *score += counts;
            } else {
                *score += of_letters >> place & 1;
            }
        }
    }
    scores
}

/// The language of the trigrams, and how sure they are.
fn trigrams(words: &[String]) -> Option<(&'static str, f64)> {
    let text = words.join(" ");
    if text.chars().count() < TRIGRAM_LETTERS_MIN {
        return None;
    }
    let known: Vec<Lang> = TAGS.iter().map(|(lang, _)| *lang).collect();
    let found = Detector::with_allowlist(known).detect(&text)?;
    let tag = TAGS.iter().find(|(lang, _)| *lang == found.lang())?.1;
    Some((tag, found.confidence()))
}

const TAGS: &[(Lang, &str)] = &[
    (Lang::Eng, "en"),
    (Lang::Spa, "es"),
    (Lang::Por, "pt"),
    (Lang::Fra, "fr"),
    (Lang::Deu, "de"),
    (Lang::Ita, "it"),
    (Lang::Nld, "nl"),
    (Lang::Pol, "pl"),
    (Lang::Tur, "tr"),
    (Lang::Vie, "vi"),
    (Lang::Ind, "id"),
    (Lang::Swe, "sv"),
    (Lang::Dan, "da"),
    (Lang::Nob, "nb"),
    (Lang::Fin, "fi"),
    (Lang::Ces, "cs"),
    (Lang::Hun, "hu"),
    (Lang::Ron, "ro"),
    (Lang::Tgl, "tl"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Leaving the trigrams out changes no answer.
        #[test]
        fn a_clear_winner_wins_with_trigrams_too(
            words in prop::collection::vec(
                prop::sample::select(LANGUAGES.iter().flat_map(|one| one.words).collect::<Vec<_>>()),
                0..30,
            ),
            confidence in 0.0..1.0,
            of in 0..TAGS.len(),
        ) {
            let words: Vec<String> = words.into_iter().map(|word| (*word).to_owned()).collect();
            if let Some(tag) = clear_winner(&scores(&words)) {
                let sure = Some(Guess { tag, clue: Clue::Sure });
                prop_assert_eq!(weigh(scores(&words), None), sure);
                prop_assert_eq!(weigh(scores(&words), trigrams(&words)), sure);
                prop_assert_eq!(weigh(scores(&words), Some((TAGS[of].1, confidence))), sure);
            }
        }
    }

    #[test]
    fn a_sentence_of_small_words_needs_no_trigrams() {
        let words = super::super::words(
            "could you please have a look at it, I still have not got my money",
        );
        assert_eq!(clear_winner(&scores(&words)), Some("en"));
        assert_eq!(clear_winner(&scores(&super::super::words("transfer status"))), None);
    }
}
