// Random requests, valid and not, against the extension in C++ under AddressSanitizer and UndefinedBehaviorSanitizer:
// every buffer is exactly as large as it says, so one byte read or written outside of it ends the program.
// Usage: fuzz CASES SEED

#include "cpu_copy.h"
#include "cpu_draws.h"
#include "cpu_masks.h"
#include "cpu_warp.h"

#include <memory>
#include <random>

using namespace onewarp;

namespace {

std::mt19937 engine;
int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine); }
float real(float low, float high) { return std::uniform_real_distribution<float>(low, high)(engine); }

// A block of its own for the sanitizer to guard.
template <class T, class Make>
std::unique_ptr<T[]> block(int64_t count, Make make) {
    std::unique_ptr<T[]> numbers(new T[count > 0 ? count : 0]);
    for (int64_t i = 0; i < count; i++) numbers[i] = make();
    return numbers;
}

int side() { return between(0, 3) ? between(1, 8) : between(1, 90); }

// A homography that may be anything, from a mild turn to the horizon to nonsense.
void homography(float* h) {
    const float reach[] = {1, 3, 50, 1e6f, 1e30f};
    const float most = reach[between(0, 9) < 5 ? 0 : between(0, 4)];
    for (int k = 0; k < 9; k++) h[k] = real(-most, most);
    if (between(0, 1)) h[6] = real(-0.02f, 0.02f), h[7] = real(-0.02f, 0.02f), h[8] = 1;
    if (between(0, 1)) h[2] = real(-60, 60), h[5] = real(-60, 60);
    if (!between(0, 2)) {  // Rows stay rows.
        h[1] = h[3] = h[6] = h[7] = 0, h[8] = 1;
        if (between(0, 3)) h[0] = real(-4.5f, 4.5f), h[4] = real(-4.5f, 4.5f);
    }
    if (!between(0, 199)) h[between(0, 8)] = NAN;
}

struct Tally {
    const char* name;
    long served = 0, refused = 0;
};

void count(Tally& tally, const char* text, bool broken) {
    const bool refused = text && *text;
    (refused ? tally.refused : tally.served)++;
    if (broken && !refused) std::fprintf(stderr, "%s served a broken request\n", tally.name), std::exit(2);
}

// A length that is right, or now and then one that is not.
int64_t length(int64_t right, bool& broken) {
    if (between(0, 29)) return right;
    const int64_t wrong = std::max<int64_t>(0, right + between(-9, 9));
    broken = broken || wrong != right;
    return wrong;
}

template <class T, class Make>
std::pair<std::unique_ptr<T[]>, Block<T>> buffer(int64_t count, Make make) {
    auto numbers = block<T>(count, make);
    const Block<T> all = {numbers.get(), count};
    return {std::move(numbers), all};
}

template <class T>
Block<const T> constant(Block<T> numbers) {
    return {numbers.at, numbers.count};
}

// As many homographies as there is room for.
std::pair<std::unique_ptr<float[]>, Block<float>> homographies(int64_t numbers) {
    auto all = buffer<float>(numbers, [] { return 0.f; });
    for (int64_t i = 0; i + 9 <= numbers; i += 9) homography(all.first.get() + i);
    return all;
}

// A parameter that need not be there.
std::pair<std::unique_ptr<float[]>, Block<const float>> optional(int64_t right, float low, float high, bool& broken) {
    if (between(0, 1)) return std::pair<std::unique_ptr<float[]>, Block<const float>>();
    auto [numbers, all] = buffer<float>(length(right, broken), [=] { return real(low, high); });
    return {std::move(numbers), constant(all)};
}

void warps(Tally& tally) {
    const int images = between(0, 4);
    bool broken = false;
    auto [size_numbers, sizes] = buffer<int32_t>(2 * images, side);
    auto [offset_numbers, offsets] = buffer<int64_t>(images, [] { return 0; });
    const int pixel = between(0, 39) ? between(0, 2) ? 3 : 12 : 4;
    int64_t total = between(0, 2);
    for (int i = 0; i < images; i++)
        offsets.at[i] = total, total += static_cast<int64_t>(pixel) * sizes.at[2 * i] * sizes.at[2 * i + 1] +
                                        (between(0, 3) ? 0 : between(0, 20));
    if (!between(0, 7) && images) {
        const int i = between(0, images - 1);
        broken = true;
        switch (between(0, 4)) {
            case 0:
                sizes.at[2 * i] = between(-2, 0);
                break;
            case 1:
                sizes.at[2 * i + 1] += static_cast<int32_t>(total / sizes.at[2 * i]) + 1;
                break;
            case 2:
                offsets.at[i] = -1 - between(0, 9);
                break;
            case 3:
                offsets.at[i] = total;
                break;
            default:
                sizes.at[2 * i] = INT32_MAX, sizes.at[2 * i + 1] = INT32_MAX;
        }
    }
    auto [data_bytes, data] = buffer<uint8_t>(total, [] { return static_cast<uint8_t>(between(0, 255)); });
    auto [h_numbers, h] = homographies(length(9 * images, broken));
    auto [logit_numbers, logit] = optional(12 * images, -2, 2, broken);
    auto [hue_numbers, hue] = optional(images, -3, 3, broken);
    auto [table_numbers, table] = optional(256 * images, 0, 1, broken);
    auto [colour_numbers, colour] = buffer<float>(length(12 * images, broken), [] { return real(-4, 4); });
    if (!between(0, 2))
        for (int64_t i = 0; i < colour.count; i++) colour.at[i] = i % 12 % 5 == 0;
    bool other = false;
    auto [erase_numbers, erase] = optional((between(0, 1) ? 4 : 7) * images, -5, 70, other);
    broken = broken || (erase.at && erase.count != 4 * images && erase.count != 7 * images);
    const int height = between(0, 40) ? side() : 0, width = between(0, 9) ? side() : between(250, 600);
    const int number = between(0, 39) ? between(0, 2) : 3, bytes = number == 0 ? 4 : number == 1 ? 2 : 1;
    const int padding = between(0, 39) ? between(0, 2) : -1;
    broken = broken || !height || number > 2 || padding < 0 || pixel == 4;
    const int64_t right = static_cast<int64_t>(images) * 3 * height * width * bytes;
    auto [out_bytes, out] = buffer<uint8_t>(length(right, broken), [] { return uint8_t{171}; });
    const Block<const int64_t> starts = {offsets.at, between(0, 29) ? images : between(0, images)};
    broken = broken || starts.count != images;
    const Request request = {constant(data), pixel, starts, constant(sizes), constant(h), logit, hue, table,
                             constant(colour), erase, out, height, width, static_cast<Number>(number),
                             between(0, 1) == 1, static_cast<Padding>(padding), {0.1f, 0.2f, 0.3f},
                             between(0, 1) == 1, between(1, 3)};
    for (const InstructionSet& set : instruction_sets())
        if (set.here) count(tally, warp(request, set).text, broken);
}

// Labels 0 to 3 of one type, and 4 where there is no source.
template <class T>
void masks(Tally& tally, Label label) {
    const int images = between(0, 4), height = side(), width = side();
    constexpr int64_t bytes = sizeof(T);
    bool broken = false;
    auto [size_numbers, sizes] = buffer<int32_t>(2 * images, side);
    auto [h_numbers, h] = homographies(length(9 * images, broken));
    std::vector<std::unique_ptr<T[]>> labels;
    std::vector<Block<const uint8_t>> blocks;
    bool other = false;
    for (int i = 0; i < images; i++) {
        const int64_t pixels = length(static_cast<int64_t>(sizes.at[2 * i]) * sizes.at[2 * i + 1], other);
        labels.push_back(block<T>(pixels, [] { return static_cast<T>(between(0, 3)); }));
        blocks.push_back({reinterpret_cast<const uint8_t*>(labels.back().get()), pixels * bytes});
        if (bytes > 1 && pixels > 1 && !between(0, 49)) blocks.back().at++, other = true;
    }
    const int64_t several = between(0, 29) ? images : between(0, images);
    other = other || several != images;
    const int64_t pixels = length(static_cast<int64_t>(images) * height * width, broken);
    auto out = block<T>(pixels, [] { return T{99}; });
    auto shown = block<uint8_t>(pixels, [] { return uint8_t{99}; });
    const int padding = between(0, 39) ? between(0, 2) : 3;
    broken = broken || padding > 2;
    MaskRequest request = {{blocks.data(), several}, constant(sizes), constant(h),
                           {reinterpret_cast<uint8_t*>(out.get()), pixels * bytes}, height, width, label,
                           static_cast<Padding>(padding), 4, !between(0, 4), between(1, 3)};
    if (images) count(tally, warp_masks(request).text, broken || other);
    request.masks = {}, request.out = {shown.get(), pixels}, request.label = Label::uint8;
    count(tally, warp_masks(request).text, broken);
    for (int64_t i = 0; i < pixels && !broken; i++)
        if ((!other && out[i] > 4) || shown[i] > 1) std::fprintf(stderr, "a label out of nothing\n"), std::exit(2);
}

void masks_of_any_type(Tally& tally) {
    masks<uint8_t>(tally, Label::uint8), masks<int8_t>(tally, Label::int8), masks<int16_t>(tally, Label::int16);
    masks<int32_t>(tally, Label::int32), masks<int64_t>(tally, Label::int64);
}

void draws(Tally& tally) {
    const int keys = between(0, 5), segments = between(1, 3), rows = between(0, 6) + segments;
    bool broken = false;
    auto ops = block<Op>(rows, [] { return Op{}; });
    for (int i = 0, segment = 0; i < rows; i++) {
        const bool ends = rows - i <= segments - segment || (segment < segments - 1 && !between(0, 3));
        ops[i] = {ends ? Opcode::end : static_cast<Opcode>(between(0, static_cast<int>(Opcode::end) - 1)), between(0, 511), between(0, 1 << 30),
                    between(-1, 12), between(0, 12), ends ? segment++ : 0, {}};
    }
    if (!between(0, 9)) {
        ops[between(0, rows - 1)].segment = between(5, 1 << 30);
        ops[rows - 1].segment = between(5, 1 << 30), broken = true;
    }
    const float reach[] = {1, 3, 1e3f, 1e30f};
    const float most = reach[between(0, 3)];
    const auto any = [&] { return between(0, 99) ? static_cast<double>(real(-most, most)) : NAN; };
    auto floats = block<Operands>(rows + 9, [&] {
        Operands row;
        for (double& number : row.low) number = any();
        for (double& number : row.span) number = any();
        for (double& number : row.chance) number = real(0, 1);
        for (double& number : row.other) number = any();
        return row;
    });
    const int64_t reals = length(rows, broken);
    auto exact = block<Operands>(reals, [&, i = 0]() mutable { return floats[i++ % (rows + 9)]; });
    auto [size_numbers, sizes] = buffer<double>(length(2 * keys, broken), [] { return double(between(1, 500)); });
    auto [key_numbers, hashes] = buffer<uint64_t>(keys, [] { return (uint64_t{engine()} << 32) | engine(); });
    const auto out = [&](int64_t right) { return buffer<double>(length(right, broken), [] { return -1.0; }); };
    auto matrix = out(9 * keys), logit = out(12 * segments * keys), hue = out(segments * keys);
    auto table = out(256 * segments * keys), colour = out(12 * segments * keys), erase = out(4 * segments * keys);
    const auto some = [&](const Block<double>& numbers) { return broken || between(0, 2) ? numbers : Block<double>{}; };
    const DrawRequest request = {{ops.get(), rows}, {exact.get(), reals}, constant(sizes), constant(hashes),
                             static_cast<uint32_t>(engine()), static_cast<uint32_t>(engine()), double(between(0, 9)),
                             double(between(1, 9)), matrix.second, some(logit.second), some(hue.second),
                             some(table.second), some(colour.second), some(erase.second)};
    count(tally, draw(request), broken);
}

void numbers(Tally& tally) {
    bool broken = false;
    const int64_t words = between(0, 9) ? 4 * between(0, 30) : between(0, 99), there = length(words, broken);
    const auto random = [] { return static_cast<uint32_t>(engine()); };
    auto [counter_words, counters] = buffer<uint32_t>(words, random);
    auto [out_words, out] = buffer<uint32_t>(there, random);
    count(tally, philox(constant(counters), random(), random(), out), broken || words % 4);
}

void copies(Tally& tally) {
    const int64_t bytes = between(0, 3000), ahead = between(0, 70);
    bool broken = false;
    auto source = block<uint8_t>(bytes + ahead, [] { return static_cast<uint8_t>(between(0, 255)); });
    auto [target_bytes, target] = buffer<uint8_t>(length(bytes, broken), [] { return uint8_t{0}; });
    count(tally, copy_past_caches(target, {source.get() + ahead, bytes}), broken);
    if (!broken && bytes && std::memcmp(target.at, source.get() + ahead, static_cast<size_t>(bytes)))
        std::fprintf(stderr, "bytes were not copied\n"), std::exit(2);
}

}  // namespace

int main(int, char** arguments) {
    const int cases = std::atoi(arguments[1]);
    engine.seed(static_cast<unsigned>(std::atoi(arguments[2])));
    Tally warp{"warp"}, mask{"masks"}, draw{"draw"}, number{"philox"}, copy{"copy"};
    for (int i = 0; i < cases; i++) {
        warps(warp), masks_of_any_type(mask);
        for (int k = 0; k < 10; k++) draws(draw), numbers(number), copies(copy);
    }
    for (const Tally& tally : {warp, mask, draw, number, copy})
        std::printf("%s %ld %ld\n", tally.name, tally.served, tally.refused);
}
