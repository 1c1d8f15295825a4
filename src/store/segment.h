// SPDX-License-Identifier: Apache-2.0
// Private to the store room: the segment format, its writer and its one reader for memory and
// files. By byte offset: docs/formats/segment.md.
#ifndef YG_STORE_SEGMENT_H
#define YG_STORE_SEGMENT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "model/block.h"
#include "store/columns.h"
#include "store/key_index.h"
#include "store/stripe.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "formats are little endian in place");

#define YG_SEG_MAGIC "YGSG"
#define YG_SEG_VERSION 2u // readers take 1 as well
#define YG_SEG_HEADER_BYTES 64u
#define YG_SEG_FOOTER_BYTES 64u
#define YG_SEG_CHUNK_RAW_MAX (1u << 20)   // strings of a granule, unless one row alone is longer
#define YG_SEG_STRIPE_GRANULES_MAX 65536u // granules of a stripe are numbered in 16 bits
#define YG_SEG_COLUMNS_MAX 2000u          // columns of a stripe; rarer attributes go into its rest
#define YG_SEG_DIRECTORY_MAX (256u << 20)
#define YG_SEG_OWN_MAX 16u      // columns whose texts may be left out of others
#define YG_SEG_SHAPES_MAX 4096u // distinct sets of present columns in a stripe
#define YG_DAY_MIXED INT32_MIN  // memory segments hold rows of any day

// Header, 64 B.
struct yg_seg_header {
    char magic[4];
    uint16_t version;
    uint8_t track;
    uint8_t flags; // YG_SEG_F_*
    int32_t day;
    uint32_t index_id; // 0 = main; names in the catalogue
    uint64_t segment_id;
    char writer[24];       // build, zero padded
    uint64_t max_sequence; // files: every WAL frame up to it was in files with this one
    char reserved1[4];
    uint32_t crc32c; // of the 60 bytes before
};
_Static_assert(sizeof(struct yg_seg_header) == YG_SEG_HEADER_BYTES, "segment header is 64 bytes");
#define YG_SEG_F_PLAIN 1u // nothing in it is compressed (memory segments)

// Chunk header, 16 B, then stored_bytes of payload.
struct yg_seg_chunk {
    uint8_t encoding;
    uint8_t flags;      // YG_CHUNK_F_*
    uint16_t rows;      // of the granule (0 in dictionary chunks)
    uint32_t raw_bytes; // values before compression
    uint32_t stored_bytes;
    uint32_t crc32c; // of the 12 bytes before and the payload
};
_Static_assert(sizeof(struct yg_seg_chunk) == 16, "chunk header is 16 bytes");

enum yg_seg_encoding {
    YG_ENC_NULL = 0,      // no chunk: no value in the granule
    YG_ENC_CONST = 1,     // one value for all
    YG_ENC_RAW = 2,       // i64, f64: 8 B, id: 16 B a value; strings: lengths (packed u32), bytes
    YG_ENC_CODES = 3,     // dictionary codes (packed u32)
    YG_ENC_FOR = 4,       // packed i64
    YG_ENC_DELTA = 5,     // first value i64, then packed differences
    YG_ENC_ZSTD = 6,      // RAW strings, one zstd frame
    YG_ENC_F64_FOR = 7,   // whole numbers kept as doubles: FOR of the integers
    YG_ENC_F64_DELTA = 8, // DELTA of the integers
    YG_ENC_ID_RUNS = 9,   // u32 runs; ids as in ID_SPLIT; run lengths (packed u32)
    YG_ENC_ID_SPLIT = 10, // high halves (packed i64), low halves (8 B each)
    // Format version 2; "ints" is a stream of integers (enc_ints.h).
    YG_ENC_INTS = 11,        // i64, bool: ints
    YG_ENC_F64_DECIMAL = 12, // exponent u8, ints, exceptions
    YG_ENC_F64_BITS = 13,    // ints of the doubles' bits
    YG_ENC_CODE_INTS = 14,   // dictionary codes: ints
    YG_ENC_IDS = 15,         // distinct, references (ints), high halves (ints), low halves (ints)
    YG_ENC_STR_BYTES = 16,   // lengths (ints), bytes
    YG_ENC_STR_ZSTD = 17,    // lengths (ints), the bytes as one zstd frame
    YG_ENC_STR_LAYOUT = 18,  // one shape for all: shape, its parts (ints)
    YG_ENC_STR_REPEATS = 19, // distinct, references (ints), the distinct strings
    YG_ENC_STR_OWN = 20,     // texts of other columns of the row replaced by references
    YG_ENC_STR_GROUPS = 21,  // groups of one form: constants and fields
    // Columns that lean on another one of the granule (segment_lean.h).
    YG_ENC_PARENT_ROW = 32, // i64: ids of other rows as distances
    YG_ENC_FOLLOW = 33,     // dictionary codes by the parent column's code; exceptions
    YG_ENC_COUNT
};

// How the payload begins: which rows of the granule have a value.
#define YG_CHUNK_F_PRESENCE 3u // mask
enum {
    YG_PRESENCE_ALL = 0,
    YG_PRESENCE_BITMAP = 1,
    YG_PRESENCE_LIST = 2,
    YG_PRESENCE_SHAPE = 3 // nothing here: the rows whose shape has the column
};

// Footer, 64 B.
struct yg_seg_footer {
    uint64_t directory_offset;
    uint32_t directory_bytes;
    uint32_t key_index_bytes; // right before the directory
    uint64_t row_count;
    int64_t min_time_ns;
    int64_t max_time_ns;
    uint64_t hash[2]; // xxh3-128 of key index and directory
    uint32_t crc32c;  // of the 56 bytes before
    char magic[4];
};
_Static_assert(sizeof(struct yg_seg_footer) == YG_SEG_FOOTER_BYTES, "segment footer is 64 bytes");

// One column in one granule. In files of version 1 the directory's entry, 32 B.
struct yg_seg_entry {
    uint64_t offset;       // of the chunk header
    uint32_t stored_bytes; // with its header
    uint16_t count;        // present values
    uint8_t encoding;
    uint8_t flags; // YG_ENTRY_F_*
    int64_t min;   // I64, BOOL: value; F64: bits; strings with a dictionary: code
    int64_t max;
};
_Static_assert(sizeof(struct yg_seg_entry) == 32, "directory entry is 32 bytes");
#define YG_ENTRY_F_RANGE 1u // min and max hold
#define YG_ENTRY_F_CODES 2u // they are codes: no value has another one

// A column's dictionary in a stripe, 16 B. stored_bytes 0 = none.
struct yg_seg_dict_entry {
    uint64_t offset;
    uint32_t stored_bytes;
    uint32_t count;
};
_Static_assert(sizeof(struct yg_seg_dict_entry) == 16, "dictionary entry is 16 bytes");

// Directory entry of a granule, 24 B.
struct yg_seg_granule_entry {
    uint32_t rows;
    uint32_t reserved;
    int64_t min_time_ns;
    int64_t max_time_ns;
};
_Static_assert(sizeof(struct yg_seg_granule_entry) == 24, "granule entry is 24 bytes");

// Directory head of a column in a stripe, 64 B (version 2).
struct yg_seg_record_entry {
    uint32_t column;      // place in the directory's list of columns, or YG_RECORD_*
    uint32_t entry_count; // chunks
    struct yg_seg_dict_entry dict;
    struct yg_seg_dict_entry map; // code of the parent → own code + 1; see segment.md §3
    uint32_t parent;              // column that it leans on; YG_COLUMN_NONE
    uint32_t shape_bit;           // which bit of a shape says that the row has it
    uint64_t offset;              // of the first chunk; each follows the one before
    uint64_t reserved;
};
_Static_assert(sizeof(struct yg_seg_record_entry) == 64, "record is 64 bytes");
// Texts of other columns that may stand inside a stripe's strings (version 2), 8 B each.
struct yg_seg_own_entry {
    uint32_t column;
    uint32_t form; // YG_OWN_*
};
enum {
    YG_OWN_TEXT = 0,   // a string as it is
    YG_OWN_HEX = 1,    // an id, 32 digits
    YG_OWN_NUMBER = 2, // an integer; a double with at most three decimals
    YG_OWN_COUNT
};
#define YG_RECORD_SHAPES UINT32_C(0xfffffffe)
#define YG_RECORD_REST UINT32_C(0xffffffff)
#define YG_RECORD_IS_COLUMN(column) ((column) < YG_RECORD_SHAPES)

// ------------------------------------------------------------ key index: filter of trace ids
// Blocks of 256 bits, 8 bits a key, one in each word; keyed by the low half of the id.

static inline void yg_bloom_place(uint64_t id_low, uint32_t blocks, uint32_t *ret_block,
                                  uint32_t ret_bits[8]) {
    uint64_t h = yg_hash_u64(id_low);
    *ret_block = (uint32_t)(((h >> 32) * blocks) >> 32);
    static const uint32_t salt[8] = {0x47b6137bu, 0x44974d91u, 0x8824ad5bu, 0xa2b7289du,
                                     0x705495c7u, 0x2df1424bu, 0x9efc4947u, 0x5c6bfb31u};
    for (int i = 0; i < 8; i++)
        ret_bits[i] = 1u << (((uint32_t)h * salt[i]) >> 27);
}
static inline void yg_bloom_add(uint32_t *words, uint32_t blocks, uint64_t id_low) {
    uint32_t block, bits[8];
    yg_bloom_place(id_low, blocks, &block, bits);
    for (int i = 0; i < 8; i++)
        words[block * 8 + (uint32_t)i] |= bits[i];
}
static inline bool yg_bloom_has(const uint32_t *words, uint32_t blocks, uint64_t id_low) {
    uint32_t block, bits[8];
    yg_bloom_place(id_low, blocks, &block, bits);
    for (int i = 0; i < 8; i++)
        if (!(words[block * 8 + (uint32_t)i] & bits[i]))
            return false;
    return true;
}

// ------------------------------------------------------------ writer

struct yg_seg_writer;
struct yg_seg_writer_options {
    enum yg_track track;
    int32_t day;
    uint32_t index_id; // 0 = main
    uint64_t segment_id;
    uint64_t max_sequence;
    bool plain; // memory segment: no compression
    bool final; // the last merge of these rows: worth more CPU
    int fd;     // file to write to, or −1: everything stays in a buffer
};
struct yg_seg_writer *yg_seg_writer_create(const struct yg_seg_writer_options *options);
void yg_seg_writer_destroy(struct yg_seg_writer *w);
// One stripe of the source's rows. Memory: its widest column and a few that others lean on.
// ECORRUPT: of the source; EIO, ENOMEM. After a failure the writer is only good for destroying.
yg_rc yg_seg_writer_stripe(struct yg_seg_writer *w, const struct yg_stripe_source *src,
                           struct yg_err *err) YG_MUST_USE;
// The same from a column set: order[0 … count), NULL: all rows as they stand.
yg_rc yg_seg_writer_columns(struct yg_seg_writer *w, const struct yg_columns *cs,
                            const uint32_t *order, uint32_t count, struct yg_err *err) YG_MUST_USE;
// A stripe of another segment of version 2 as it stands: chunks are checked, not decoded.
// Files only. EINPUT: a segment of version 1 or a plain one; ECORRUPT: a chunk is damaged.
struct yg_segment;
yg_rc yg_seg_writer_copy_stripe(struct yg_seg_writer *w, struct yg_segment *seg, uint32_t stripe,
                                struct yg_err *err) YG_MUST_USE;
// Directory and footer. With a file: everything is written, not synced. Else the bytes are in
// yg_seg_writer_take.
struct yg_seg_summary {
    uint64_t row_count;
    uint64_t bytes;
    uint32_t granule_count;
    int64_t min_time_ns;
    int64_t max_time_ns;
};
yg_rc yg_seg_writer_finish(struct yg_seg_writer *w, struct yg_seg_summary *ret_summary,
                           struct yg_err *err) YG_MUST_USE;
void yg_seg_writer_take(struct yg_seg_writer *w, struct yg_buf *ret_bytes);

// ------------------------------------------------------------ segment

struct yg_seg_column { // of the whole segment
    yg_str name;
    enum yg_type type;
};

struct yg_seg_dict { // loaded on first use, kept until the segment is unloaded
    struct yg_dict dict;
    yg_str *own_strs;
    char *own_bytes;
    uint64_t chars[4]; // set of the bytes in it
};

struct yg_seg_record { // a column in a stripe, as loaded
    struct yg_seg_record_entry head;
    const struct yg_seg_entry *entries; // [head.entry_count]
    const uint16_t *granules;           // entry i is of granule granules[i]; NULL: of granule i
    struct yg_seg_dict *dict;           // under the segment's lock
    struct yg_seg_dict *map;            // the same
};

struct yg_seg_stripe {
    uint32_t row_count;
    uint32_t granule_count;
    const struct yg_seg_granule_entry *granules;
    const struct yg_seg_own_entry *own; // slots that texts refer to
    uint32_t own_count;
    struct yg_seg_record *records; // by column; only columns that the stripe has
    uint32_t record_count;
    struct yg_seg_entry *own_entries; // of all records
    uint16_t *own_granules;
    uint32_t *own_unlisted; // keys of the rest that the directory does not list; under the lock
    uint32_t unlisted_count;
    uint32_t rest_keys; // once they were checked; under the lock
};

struct yg_seg_dir { // parsed directory; borrowed strings point into `bytes`
    char *bytes;
    struct yg_seg_column *columns; // by name, then type
    uint32_t column_count;
    struct yg_seg_stripe *stripes;
    uint32_t stripe_count;
    uint32_t granule_count; // of all stripes
    const uint32_t *bloom;  // blocks of 8 words; NULL = none
    uint32_t bloom_blocks;
    struct yg_key_index keys; // kind 2; zeroed: covers nothing
    char *key_index;          // the section's bytes
    size_t memory_bytes;
};
// Parses d->bytes[0 … len) (directory of `version`) into d. data_end: where the chunks end.
// False: it breaks its own rules.
bool yg_seg_dir_parse(struct yg_seg_dir *d, uint32_t version, size_t len, uint64_t data_end,
                      uint64_t row_count);
void yg_seg_dir_fini(struct yg_seg_dir *d);

#define YG_SEGMENT_MAGIC 0x5e9a31c4u
struct yg_segment {
    uint32_t magic;
    _Atomic uint32_t refs;
    uint64_t id;
    enum yg_track track;
    int32_t day;
    uint64_t row_count;
    uint64_t bytes;
    uint32_t granule_count;
    int64_t min_time_ns;
    int64_t max_time_ns;
    bool in_memory;
    char *path;           // files
    struct yg_buf mem;    // memory segments
    pthread_mutex_t lock; // loading of directory and dictionaries
    _Atomic bool loaded;
    int fd; // −1 while loaded: too many are open, each read opens the file
    struct yg_seg_dir dir;
    _Atomic uint32_t users; // snapshots that read it: a directory in use is not dropped
    _Atomic int64_t used_mono_ns;
    uint64_t max_sequence; // newest WAL frame inside
    uint32_t version;      // of the format; known when loaded
    bool plain;
    uint32_t shard;
    bool cut;                  // stands before a flush's cut: goes to files next
    uint32_t index_id;         // 0 = main
    uint32_t level;            // 1: written by a flush, 2 and 3: by merges
    _Atomic uint64_t deletion; // deletions up to this number were applied to its rows
    _Atomic bool keep_out;     // a merge found it damaged: it stays as it is
    int64_t listed_mono_ns;    // since when the store lists it; 0: since the start
    _Atomic uint64_t *damaged; // counts damaged chunks; may be NULL
    bool unlink_at_end;        // dead file: removed with the last reference
};

// A memory segment over bytes made by a plain writer. Loaded at once.
yg_rc yg_segment_of_bytes(struct yg_buf *take_bytes, struct yg_segment **ret_seg,
                          struct yg_err *err) YG_MUST_USE;
// A file; only what the catalogue knows is filled. Nothing is read yet.
struct yg_segment *yg_segment_of_file(const char *path);
struct yg_segment *yg_segment_ref(struct yg_segment *seg);
void yg_segment_unref(struct yg_segment *seg);
// Opens the file and parses the directory, if that has not been done. ECORRUPT names the file.
yg_rc yg_segment_load(struct yg_segment *seg, struct yg_err *err) YG_MUST_USE;
// Header and footer of a file that is not opened as a segment. max_sequence: of the WAL frames that
// it answers for.
struct yg_seg_peek {
    uint64_t id;
    enum yg_track track;
    uint32_t index_id;
    int32_t day;
    uint64_t max_sequence;
    uint64_t bytes;
    uint64_t row_count;
    int64_t min_time_ns;
    int64_t max_time_ns;
};
yg_rc yg_segment_peek(const char *path, struct yg_seg_peek *ret_peek,
                      struct yg_err *err) YG_MUST_USE;
// Gives the directory's and dictionaries' memory and the descriptor back; only with users = 0.
bool yg_segment_unload(struct yg_segment *seg);
const char *yg_segment_name(const struct yg_segment *seg); // path, or "memory segment"

// Bytes of a loaded file.
yg_rc yg_segment_pread(struct yg_segment *seg, void *out, size_t len, uint64_t at,
                       struct yg_err *err) YG_MUST_USE;
// Finds the stripe of a granule number of the segment.
void yg_segment_locate(const struct yg_segment *seg, uint32_t granule, uint32_t *ret_stripe,
                       uint32_t *ret_in_stripe);
// First column of that name; column_count when there is none. Further types follow it.
uint32_t yg_segment_column(const struct yg_segment *seg, yg_str name);
// The column in that stripe, NULL when it has none there; and its chunk in a granule of the stripe
// (count 0: none).
struct yg_seg_record *yg_segment_record(const struct yg_seg_stripe *st, uint32_t column);
const struct yg_seg_entry *yg_segment_entry(const struct yg_seg_record *rec, uint32_t granule);
bool yg_segment_may_hold_id(const struct yg_segment *seg, uint64_t id_low);

// One chunk decoded to its present values.
struct yg_seg_values {
    uint32_t rows;
    uint32_t count;
    bool constant;           // stored as one value
    const uint64_t *present; // NULL = all
    const struct yg_dict *dict;
    const uint32_t *codes;
    const yg_str *strs;
    const int64_t *i64;
    const double *f64;
    const yg_id128 *ids;
};
yg_rc yg_segment_values(struct yg_segment *seg, uint32_t stripe, uint32_t granule, uint32_t column,
                        struct yg_arena *arena, struct yg_seg_values *ret_values,
                        struct yg_err *err) YG_MUST_USE;
// What several columns of a granule lean on, kept while the granule is read; zero at first. Lives
// in the arena of the values.
struct yg_seg_memo {
    struct yg_seg_values **values; // [column_count + 1], the shapes last; NULL: not decoded
    uint64_t *shape_rows;          // [shape × words]: its rows; NULL: not made
};
// The same with what was decoded before, all of it in one arena.
yg_rc yg_segment_values_memo(struct yg_segment *seg, uint32_t stripe, uint32_t granule,
                             uint32_t column, struct yg_seg_memo *memo, struct yg_arena *arena,
                             struct yg_seg_values *ret_values, struct yg_err *err) YG_MUST_USE;
// Texts for a search: those that cannot match the probe (not NULL) may come as "". Not kept.
yg_rc yg_segment_values_probed(struct yg_segment *seg, uint32_t stripe, uint32_t granule,
                               uint32_t column, struct yg_seg_memo *memo,
                               const struct yg_text_probe *probe, struct yg_arena *arena,
                               struct yg_seg_values *ret_values, struct yg_err *err) YG_MUST_USE;
// Bytes that texts of a chunk may hold, as a set of 256 bits; all of them where that is not known.
yg_rc yg_segment_text_chars(struct yg_segment *seg, uint32_t stripe, uint32_t granule,
                            uint32_t column, struct yg_arena *arena, uint64_t ret_chars[4],
                            struct yg_err *err) YG_MUST_USE;
// The dictionary of a string column in a stripe; NULL when it has none. Borrow: until the segment
// is unloaded.
yg_rc yg_segment_dict(struct yg_segment *seg, uint32_t stripe, uint32_t column,
                      struct yg_arena *arena, const struct yg_dict **ret_dict,
                      struct yg_err *err) YG_MUST_USE;
// Strings of a chunk that belongs to no column and granule (in `arena`); and those of a record's
// dictionary, kept until the segment is unloaded. what: for error texts.
yg_rc yg_segment_strings(struct yg_segment *seg, const char *what, uint64_t offset,
                         uint32_t stored_bytes, uint32_t count, struct yg_arena *arena,
                         const yg_str **ret_strs, struct yg_err *err) YG_MUST_USE;
yg_rc yg_segment_strings_kept(struct yg_segment *seg, const char *what, struct yg_seg_record *rec,
                              const struct yg_dict **ret_dict, struct yg_err *err) YG_MUST_USE;
// A granule (number in the segment) as a block.
yg_rc yg_segment_block(struct yg_segment *seg, uint32_t granule, struct yg_arena *arena,
                       struct yg_block **ret_block, struct yg_err *err) YG_MUST_USE;

// Wants and adds for a set (columns.h), so that segments can be joined.
yg_rc yg_columns_want_segment(struct yg_columns *cs, struct yg_segment *seg,
                              struct yg_err *err) YG_MUST_USE;
// keep: bit per row of the segment, or NULL. Strings are copied into the set's arena or borrowed
// from the segment's dictionaries.
yg_rc yg_columns_add_segment(struct yg_columns *cs, struct yg_segment *seg, const uint64_t *keep,
                             struct yg_err *err) YG_MUST_USE;

#endif
