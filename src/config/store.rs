//! A store's `keyfold.toml` into resolved settings; errors name the line.

mod classes;

pub use classes::Zone;

use super::Complaints;
use super::prices::{RawPrices, decimal_of};
use crate::model::{Error, Kind, Result, parse_duration, parse_size, size_text};
use crate::store::{Prices, Reserve, RestoreDelay, TierSettings};
use serde::Deserialize;
use std::fmt::Display;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::{Spanned, Value};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// A day when no debug clock shortens it.
const DAY: Duration = Duration::from_secs(86_400);

/// The `keyfold.toml` of a new store: every setting with its default.
pub const STORE_TEMPLATE: &str = "\
# Keyfold's settings for this store. What is commented out is the default.

[log]
# segment_size = \"256MiB\"     # a file of data is sealed at this size

[index]
# cache_size = \"128MiB\"       # memory for blocks of the index
# memtable_size = \"16MiB\"     # memory for recent changes, per family

[memory]
# ceiling = \"auto\"           # what the process takes at most: a size, or a quarter of the machine's within bounds

[write]
# commit_interval = \"1s\"      # closed files are durable after this long at the latest
# inline_max = \"4KiB\"         # objects up to this size lie in the index

[disk]
# reserve = \"auto\"            # kept free: a size, a share such as \"2%\", or 1% within bounds

[care]
# compact_rate = \"32MiB\"      # data a second moved to free space in the background,
                              # a quarter of that while others use the store; 0: only by `keyfold gc`
# scrub_every = \"14d\"         # everything is read against its checksums this often; \"off\" never
# scrub_rate = \"16MiB\"        # bytes a second that this may read

[zones]                        # directories on other disks, such as: fast = \"/mnt/nvme/keyfold\"; the store's own is \"home\"

[class.STANDARD]               # what a storage class asks for; the others are as this one where they say nothing
# zones = [\"home\"]            # where its files lie, best first
# copies = 1                   # of each file, each in another zone; as many as there are zones, 3 at most
# compression = 0              # level of zstd, 1 to 19; 0: none

[archive]
# restore_delay = \"none\"      # how long a restore takes: \"none\", or \"aws\" as long as S3 does

[lifecycle]
# enabled = true               # buckets' lifecycle rules are obeyed, after each midnight in UTC
# rate = 100000                # objects a second that are held against them, a quarter of that while others use the store

[analytics]
# sca_threshold = 0.5          # objects are seldom used of whose bytes less than this share is read in 30 days

[s3]
# connections_per_client = 512  # at once from one address; from this machine three times as many
# request_rate = \"off\"        # requests a second with one access key, beyond which the answer is SlowDown
# unsigned_rate = 1000         # the same from one address, of requests that prove no key

[prices]                       # what `keyfold bill` reckons with: S3's list for us-east-1
# currency = \"USD\"            # a label
# transfer = 0.09              # a GB sent out
# monitoring = 0.0025          # 1,000 objects that Intelligent-Tiering watches for a month
# STANDARD.storage = 0.023     # a GB for a month; and so for each class
# STANDARD.put = 0.005         # 1,000 requests that write or list
# STANDARD.get = 0.0004        # 1,000 other requests
# GLACIER.transition = 0.03    # 1,000 objects that lifecycle rules bring there
# GLACIER.retrieval = 0.01     # a GB fetched; also retrieval_expedited, retrieval_bulk
";

/// What stands below that in a store with a debug clock.
pub const DEBUG_TEMPLATE: &str = "
[debug]
# day = \"24h\"                # how long a day of the rules about time lasts, at least 10ms
";

/// What clients of the S3 API may do (SHD-1, SHD-3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DoorLimits {
    /// Connections at once from one address.
    pub connections_per_client: usize,
    /// Requests a second with one access key; without, any number.
    pub request_rate: Option<NonZeroU32>,
    /// Requests a second from one address that prove no key; without, any number.
    pub unsigned_rate: Option<NonZeroU32>,
}

impl Default for DoorLimits {
    fn default() -> Self {
        Self { connections_per_client: 512, request_rate: None, unsigned_rate: NonZeroU32::new(1000) }
    }
}

/// How a store works.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreSettings {
    /// Bytes after which a segment of the chunk log is sealed.
    pub segment_size: u64,
    /// Bytes of memory for blocks of the index.
    pub cache_size: u64,
    /// Bytes of memory for recent changes of one family of the index.
    pub memtable_size: u64,
    /// Bytes of memory that the process takes at most; a share of the machine's without. The sizes above are bounds
    /// within it.
    pub ceiling: Option<u64>,
    /// After how long a closed file is durable at the latest.
    pub commit_interval: Duration,
    /// Bytes up to which an object lies in the index.
    pub inline_max: u64,
    /// Space left free (SIZE-7).
    pub reserve: Reserve,
    /// Bytes a second that compaction in the background copies at most; with 0 it never does.
    pub compact_rate: u64,
    /// How often everything is read against its checksums; never when there is none.
    pub scrub_every: Option<Duration>,
    /// Bytes a second that this may read.
    pub scrub_rate: u64,
    /// Whether lifecycle rules are obeyed in the background.
    pub lifecycle_enabled: bool,
    /// Objects a second that are held against them at most.
    pub lifecycle_rate: usize,
    /// What clients of the S3 API may do.
    pub door: DoorLimits,
    /// Directories on disks of their own, besides the store's.
    pub zones: Vec<Zone>,
    /// What the classes of storage ask for; places of zones are those in the list above, behind the store's own, which is 0.
    pub tiers: Vec<TierSettings>,
    /// How long restores of archived objects take (RST-2, RST-3).
    pub restore_delay: RestoreDelay,
    /// Share of their bytes, in thousandths, that is read of objects in 30 days which are not used seldom (SCA-10).
    pub sca_threshold_millis: u64,
    /// What bills reckon with.
    pub prices: Prices,
    /// How long a day of the rules about time lasts (GEN-2); another than 24 hours only with a debug clock.
    pub day: Duration,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            segment_size: 256 * MIB,
            cache_size: 128 * MIB,
            memtable_size: 16 * MIB,
            ceiling: None,
            commit_interval: Duration::from_secs(1),
            inline_max: 4 * KIB,
            reserve: Reserve::Auto,
            compact_rate: 32 * MIB,
            scrub_every: Some(14 * DAY),
            scrub_rate: 16 * MIB,
            lifecycle_enabled: true,
            lifecycle_rate: 100_000,
            door: DoorLimits::default(),
            zones: Vec::new(),
            tiers: vec![TierSettings::default()],
            restore_delay: RestoreDelay::None,
            sca_threshold_millis: 500,
            prices: Prices::default(),
            day: DAY,
        }
    }
}

impl StoreSettings {
    /// Reads the text of a `keyfold.toml`. `debug_clock`: the store was made with `keyfold init --debug-clock`.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`], naming every line with a bad value, or the first that is not TOML or has an
    /// unknown name.
    pub fn parse(text: &str, debug_clock: bool) -> Result<Self> {
        let raw: Raw = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| format!("line {}: ", line_of(text, span.start))).unwrap_or_default();
            let why = format!("{line}{}", error.message().replace('\n', ", "));
            Error::new(Kind::InvalidArgument, WHAT).why(why).mend(MEND)
        })?;
        let mut reader = Reader { text, complaints: Complaints::default() };
        let mut settings = Self::default();
        reader.size("log.segment_size", raw.log.segment_size, MIB..=16 * GIB, &mut settings.segment_size);
        reader.size("index.cache_size", raw.index.cache_size, MIB..=1024 * GIB, &mut settings.cache_size);
        reader.size("index.memtable_size", raw.index.memtable_size, MIB..=4 * GIB, &mut settings.memtable_size);
        reader.ceiling("memory.ceiling", raw.memory.ceiling, &mut settings.ceiling);
        let interval = Duration::from_millis(1)..=Duration::from_secs(60);
        reader.duration("write.commit_interval", raw.write.commit_interval, interval, &mut settings.commit_interval);
        reader.size("write.inline_max", raw.write.inline_max, 0..=64 * KIB, &mut settings.inline_max);
        reader.reserve("disk.reserve", raw.disk.reserve, &mut settings.reserve);
        reader.size("care.compact_rate", raw.care.compact_rate, 0..=1024 * GIB, &mut settings.compact_rate);
        let every = Duration::from_secs(1)..=366 * DAY;
        reader.duration_or_off("care.scrub_every", raw.care.scrub_every, every, &mut settings.scrub_every);
        reader.size("care.scrub_rate", raw.care.scrub_rate, 64 * KIB..=1024 * GIB, &mut settings.scrub_rate);
        settings.zones = classes::zones(&mut reader, raw.zones);
        settings.tiers = classes::tiers(&mut reader, &settings.zones, raw.class);
        reader.restore_delay(raw.archive.restore_delay, &mut settings.restore_delay);
        reader.switch("lifecycle.enabled", raw.lifecycle.enabled, &mut settings.lifecycle_enabled);
        reader.count("lifecycle.rate", raw.lifecycle.rate, &mut settings.lifecycle_rate);
        reader.count(
            "s3.connections_per_client",
            raw.s3.connections_per_client,
            &mut settings.door.connections_per_client,
        );
        reader.rate("s3.request_rate", raw.s3.request_rate, &mut settings.door.request_rate);
        reader.rate("s3.unsigned_rate", raw.s3.unsigned_rate, &mut settings.door.unsigned_rate);
        reader.share("analytics.sca_threshold", raw.analytics.sca_threshold, &mut settings.sca_threshold_millis);
        reader.prices(raw.prices, &mut settings.prices);
        if !debug_clock && let Some(day) = &raw.debug.day {
            let line = line_of(text, day.span().start);
            let why = "only a store made with `keyfold init --debug-clock` has short days";
            reader.complaints.add(format!("line {line}: debug.day: {why}"));
        } else {
            reader.duration("debug.day", raw.debug.day, Duration::from_millis(10)..=DAY, &mut settings.day);
        }
        reader.complaints.result(WHAT, MEND)?;
        Ok(settings)
    }
}

const WHAT: &str = "cannot use the store's keyfold.toml";
const MEND: &str = "correct the file; a setting left out has its default";

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    log: Log,
    index: Index,
    memory: Memory,
    write: Write,
    disk: Disk,
    care: Care,
    zones: classes::Zones,
    class: classes::Classes,
    archive: Archive,
    lifecycle: Lifecycle,
    analytics: Analytics,
    s3: S3,
    prices: RawPrices,
    debug: Debug,
}

type Setting = Option<Spanned<Value>>;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "the table [log]")]
struct Log {
    segment_size: Setting,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "the table [index]")]
struct Index {
    cache_size: Setting,
    memtable_size: Setting,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "the table [memory]")]
struct Memory {
    ceiling: Setting,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "the table [write]")]
struct Write {
    commit_interval: Setting,
    inline_max: Setting,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "the table [disk]")]
struct Disk {
    reserve: Setting,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "the table [care]")]
struct Care {
    compact_rate: Setting,
    scrub_every: Setting,
    scrub_rate: Setting,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "the table [archive]")]
struct Archive {
    restore_delay: Setting,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "the table [lifecycle]")]
struct Lifecycle {
    enabled: Setting,
    rate: Setting,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "the table [analytics]")]
struct Analytics {
    sca_threshold: Setting,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "the table [s3]")]
struct S3 {
    connections_per_client: Setting,
    request_rate: Setting,
    unsigned_rate: Setting,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "the table [debug]")]
struct Debug {
    day: Setting,
}

/// Puts values into place and keeps what is wrong with the others.
struct Reader<'a> {
    text: &'a str,
    complaints: Complaints,
}

impl Reader<'_> {
    fn take<T>(&mut self, name: &str, setting: Setting, slot: &mut T, read: impl FnOnce(&Value) -> Result<T>) {
        let Some(setting) = setting else { return };
        let line = line_of(self.text, setting.span().start);
        match read(setting.get_ref()) {
            Ok(value) => *slot = value,
            Err(error) => self.complaints.add_error(&format!("line {line}: {name}"), &error),
        }
    }

    fn size(&mut self, name: &str, setting: Setting, bounds: RangeInclusive<u64>, slot: &mut u64) {
        self.take(name, setting, slot, |value| {
            let size = size(value)?;
            if bounds.contains(&size) {
                Ok(size)
            } else {
                Err(outside(size_text(*bounds.start()), size_text(*bounds.end())))
            }
        });
    }

    fn switch(&mut self, name: &str, setting: Setting, slot: &mut bool) {
        self.take(name, setting, slot, |value| value.as_bool().ok_or_else(|| wrong_type(value, "true or false")));
    }

    fn count(&mut self, name: &str, setting: Setting, slot: &mut usize) {
        self.take(name, setting, slot, |value| {
            let count = value.as_integer().ok_or_else(|| wrong_type(value, "a number such as 512"))?;
            usize::try_from(count).ok().filter(|count| *count > 0).ok_or_else(|| outside(1, u32::MAX))
        });
    }

    fn restore_delay(&mut self, setting: Setting, slot: &mut RestoreDelay) {
        self.take("archive.restore_delay", setting, slot, |value| match value.as_str() {
            Some("none") => Ok(RestoreDelay::None),
            Some("aws") => Ok(RestoreDelay::Aws),
            Some(_) => Err(Error::new(Kind::InvalidArgument, "cannot use the value").why("it is \"none\" or \"aws\"")),
            None => Err(wrong_type(value, "\"none\" or \"aws\"")),
        });
    }

    /// A share from 0.001 to 1,000, in thousandths.
    fn share(&mut self, name: &str, setting: Setting, slot: &mut u64) {
        self.take(name, setting, slot, |value| {
            let millis = decimal_of(value, 3).ok_or_else(|| wrong_type(value, "a number such as 0.5"))?;
            if (1..=1_000_000).contains(&millis) { Ok(millis) } else { Err(outside("0.001", 1000)) }
        });
    }

    fn prices(&mut self, raw: RawPrices, slot: &mut Prices) {
        let (text, complaints) = (self.text, &mut self.complaints);
        raw.read(slot, &mut |at, name, error| {
            complaints.add_error(&format!("line {}: {name}", line_of(text, at)), error);
        });
    }

    /// So many a second, or `off`.
    fn rate(&mut self, name: &str, setting: Setting, slot: &mut Option<NonZeroU32>) {
        self.take(name, setting, slot, |value| {
            if value.as_str() == Some("off") {
                return Ok(None);
            }
            let rate = value.as_integer().ok_or_else(|| wrong_type(value, "a number such as 1000, or \"off\""))?;
            let rate = u32::try_from(rate).ok().and_then(NonZeroU32::new);
            rate.map(Some).ok_or_else(|| outside(1, u32::MAX))
        });
    }

    fn ceiling(&mut self, name: &str, setting: Setting, slot: &mut Option<u64>) {
        self.take(name, setting, slot, |value| match value.as_str() {
            Some("auto") => Ok(None),
            _ => match size(value)? {
                size if size >= 128 * MIB => Ok(Some(size)),
                _ => Err(outside("128MiB", "all there is")),
            },
        });
    }

    fn duration(&mut self, name: &str, setting: Setting, bounds: RangeInclusive<Duration>, slot: &mut Duration) {
        self.take(name, setting, slot, |value| {
            let duration = match value {
                Value::String(text) => parse_duration(text)?,
                _ => return Err(wrong_type(value, "a duration such as \"10s\"")),
            };
            if bounds.contains(&duration) {
                Ok(duration)
            } else {
                Err(outside(format!("{:?}", bounds.start()), format!("{:?}", bounds.end())))
            }
        });
    }

    /// A duration, or `off`.
    fn duration_or_off(
        &mut self,
        name: &str,
        setting: Setting,
        bounds: RangeInclusive<Duration>,
        slot: &mut Option<Duration>,
    ) {
        if setting.as_ref().is_some_and(|value| value.get_ref().as_str() == Some("off")) {
            *slot = None;
        } else if setting.is_some() {
            self.duration(name, setting, bounds, slot.get_or_insert_default());
        }
    }

    fn reserve(&mut self, name: &str, setting: Setting, slot: &mut Reserve) {
        self.take(name, setting, slot, |value| match value.as_str() {
            Some("auto") => Ok(Reserve::Auto),
            text => match text.and_then(|text| text.strip_suffix('%')) {
                None => size(value).map(Reserve::Bytes),
                Some(percent) => match percent.parse() {
                    Ok(percent) if percent < 100 => Ok(Reserve::Percent(percent)),
                    _ => Err(outside("0%", "99%")),
                },
            },
        });
    }
}

fn size(value: &Value) -> Result<u64> {
    match value {
        Value::String(text) => parse_size(text),
        Value::Integer(bytes) => u64::try_from(*bytes).map_err(|_| outside("0", "16EiB")),
        _ => Err(wrong_type(value, "a size such as \"256MiB\"")),
    }
}

fn outside(low: impl Display, high: impl Display) -> Error {
    Error::new(Kind::InvalidArgument, "cannot use the value").why(format!("it is not from {low} to {high}"))
}

fn wrong_type(value: &Value, wanted: &str) -> Error {
    let why = format!("it is of type {}, it should be {wanted}", value.type_str());
    Error::new(Kind::InvalidArgument, "cannot use the value").why(why)
}

/// The line, counted from 1, of the byte at `offset`.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::{
        DAY, DEBUG_TEMPLATE, DoorLimits, GIB, KIB, MIB, NonZeroU32, Prices, Reserve, RestoreDelay, STORE_TEMPLATE,
        StoreSettings, TierSettings, Zone,
    };
    use crate::model::{Kind, StorageClass};
    use std::time::Duration;

    fn reason(text: &str) -> String {
        let error = StoreSettings::parse(text, false).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        error.reason().to_owned()
    }

    #[test]
    fn the_template_says_the_defaults() {
        assert_eq!(StoreSettings::parse("", false).unwrap(), StoreSettings::default());
        assert_eq!(StoreSettings::parse(STORE_TEMPLATE, false).unwrap(), StoreSettings::default());
        let uncommented =
            |line: &str| if line.contains(" = ") { line.trim_start_matches("# ") } else { line }.to_owned();
        let said = STORE_TEMPLATE.lines().map(uncommented).collect::<Vec<_>>().join("\n");
        assert_eq!(said.matches('=').count(), 29);
        let said = said + &DEBUG_TEMPLATE.lines().map(uncommented).collect::<Vec<_>>().join("\n");
        assert_eq!(StoreSettings::parse(&said, true).unwrap(), StoreSettings::default());
        let said = STORE_TEMPLATE.lines().map(uncommented).collect::<Vec<_>>().join("\n");
        assert_eq!(StoreSettings::parse(&said, false).unwrap(), StoreSettings::default());
    }

    #[test]
    fn every_setting_is_taken() {
        let text = "log.segment_size = '1GiB'\n[index]\ncache_size = 1048576\nmemtable_size = '2MiB'\n\
                    [write]\ncommit_interval = '250ms'\ninline_max = 0\n[memory]\nceiling = '1GiB'\n[disk]\nreserve = '5GiB'\n\
                     [care]\ncompact_rate = 0\nscrub_every = 'off'\nscrub_rate = '1MiB'\n[zones]\nfast = '/mnt/nvme'\n[class.STANDARD]\nzones = ['fast']\ncopies = 1\ncompression = 3\n\
                     [archive]\nrestore_delay = 'aws'\n[lifecycle]\nenabled = false\nrate = 5\n[analytics]\nsca_threshold = 1.25\n\
                     [s3]\nconnections_per_client = 7\nrequest_rate = 100\nunsigned_rate = 'off'\n[prices]\ncurrency = 'EUR'\ntransfer = 0\nDEEP_ARCHIVE.retrieval_bulk = '0.001'\n[debug]\nday = '10s'\n";
        let mut prices = Prices { currency: "EUR".to_owned(), transfer: 0, ..Prices::default() };
        prices.classes[StorageClass::DeepArchive].retrieval[2] = 1_000_000;
        let want = StoreSettings {
            segment_size: GIB,
            cache_size: MIB,
            memtable_size: 2 * MIB,
            ceiling: Some(GIB),
            commit_interval: Duration::from_millis(250),
            inline_max: 0,
            reserve: Reserve::Bytes(5 * GIB),
            compact_rate: 0,
            scrub_every: None,
            scrub_rate: MIB,
            restore_delay: RestoreDelay::Aws,
            zones: vec![Zone { name: "fast".into(), path: "/mnt/nvme".into() }],
            tiers: vec![TierSettings { zones: vec![1], copies: 1, compression: 3, ..TierSettings::default() }],
            lifecycle_enabled: false,
            lifecycle_rate: 5,
            sca_threshold_millis: 1250,
            door: DoorLimits { connections_per_client: 7, request_rate: NonZeroU32::new(100), unsigned_rate: None },
            prices,
            day: Duration::from_secs(10),
        };
        assert_eq!(StoreSettings::parse(text, true).unwrap(), want);
        assert_eq!(StoreSettings::default().day, DAY);
    }

    #[test]
    fn gen_2_short_days_need_a_debug_clock() {
        let reason = reason("\n[debug]\nday = '10s'\n");
        assert!(reason.starts_with("line 3: debug.day") && reason.contains("--debug-clock"), "{reason}");
        assert!(StoreSettings::parse("debug.day = '2d'", true).is_err());
    }

    #[test]
    fn errors_name_the_line() {
        assert!(reason("[log]\n\nsegmnt_size = 1\n").starts_with("line 3: unknown field `segmnt_size`"));
        assert!(reason("[lgo]\n").starts_with("line 1: unknown field `lgo`"));
        assert!(reason("[log]\nsegment_size = \n").starts_with("line 2: "));
        assert!(reason("a = 1\na = 2\n").starts_with("line 2: "));
        assert!(reason("log = 3\n").contains("expected the table [log]"));
    }

    #[test]
    fn all_bad_values_are_named_at_once() {
        let reason = reason(
            "[log]\nsegment_size = '1KiB'\n[index]\ncache_size = true\n[write]\ncommit_interval = 5\ninline_max = -1\n\
             [disk]\nreserve = '100%'\n[s3]\nrequest_rate = 0\nconnections_per_client = 'many'\n",
        );
        let lines: Vec<_> = reason.split("; ").map(|text| text.split(':').next().unwrap()).collect();
        assert_eq!(lines, ["line 2", "line 4", "line 6", "line 7", "line 9", "line 12", "line 11"], "{reason}");
    }

    #[test]
    fn size_7_the_reserve_is_bytes_or_a_share() {
        assert_eq!([Reserve::Percent(1).of(u64::MAX), Reserve::Percent(0).of(9)], [u64::MAX / 100, 0]);
        assert_eq!(Reserve::Bytes(4 * KIB).of(0), 4096);
    }
}
