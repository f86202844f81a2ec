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
    long served = 0, refused = 0;
};

void one(Tally& tally) {
    const int count = between(0, 4);
    auto sizes = block<int32_t>(2 * count, side);
    auto offsets = block<int64_t>(count, [] { return 0; });
    const int pixel = between(0, 2) ? 3 : 12;
    int64_t total = between(0, 2);
    for (int i = 0; i < count; i++)
        offsets[i] = total,
        total += static_cast<int64_t>(pixel) * sizes[2 * i] * sizes[2 * i + 1] + (between(0, 3) ? 0 : between(0, 20));
    const bool broken = !between(0, 7) && count;
    if (broken) {
        const int i = between(0, count - 1);
        switch (between(0, 4)) {
            case 0:
                sizes[2 * i] = between(-2, 0);
                break;
            case 1:
                sizes[2 * i + 1] += static_cast<int32_t>(total / sizes[2 * i]) + 1;
                break;
            case 2:
                offsets[i] = -1 - between(0, 9);
                break;
            case 3:
                offsets[i] = total;
                break;
            default:
                sizes[2 * i] = INT32_MAX, sizes[2 * i + 1] = INT32_MAX;
        }
    }
    auto data = block<uint8_t>(total, [] { return static_cast<uint8_t>(between(0, 255)); });
    auto h = block<float>(9 * count, [] { return 0.f; });
    for (int i = 0; i < count; i++) homography(&h[9 * i]);
    auto logit = block<float>(12 * count, [] { return real(-2, 2); });
    auto hue = block<float>(count, [] { return real(-3, 3); });
    auto table = block<float>(256 * count, [] { return real(0, 1); });
    auto colour = block<float>(12 * count, [] { return real(-4, 4); });
    if (!between(0, 2))
        for (int64_t i = 0; i < 12 * count; i++) colour[i] = i % 12 % 5 == 0;
    const int erase_length = between(0, 1) ? 4 : 7;
    auto erase = block<float>(erase_length * count, [] { return real(-5, 70); });
    const int height = between(0, 40) ? side() : 0, width = between(0, 9) ? side() : between(250, 600);
    const int number = between(0, 2), bytes = number == 0 ? 4 : number == 1 ? 2 : 1;
    auto out = block<uint8_t>(static_cast<int64_t>(count) * 3 * height * width * bytes, [] { return uint8_t{171}; });
    const auto maybe = [](auto& numbers) { return between(0, 1) ? numbers.get() : nullptr; };
    const Request request = {data.get(),
                             total,
                             pixel,
                             offsets.get(),
                             sizes.get(),
                             count,
                             h.get(),
                             maybe(logit),
                             maybe(hue),
                             maybe(table),
                             colour.get(),
                             maybe(erase),
                             erase_length,
                             out.get(),
                             height,
                             width,
                             static_cast<Number>(number),
                             between(0, 1) == 1,
                             static_cast<Padding>(between(0, 2)),
                             {0.1f, 0.2f, 0.3f},
                             between(0, 1) == 1,
                             between(1, 3)};
    for (const InstructionSet& set : instruction_sets()) {
        if (!set.here) continue;
        const Refusal refusal = warp(request, set);
        (*refusal.text ? tally.refused : tally.served)++;
        if (broken && !*refusal.text) std::fprintf(stderr, "a broken request was served\n"), std::exit(2);
    }
}

void masks() {
    const int count = between(0, 4), height = side(), width = side();
    auto sizes = block<int32_t>(2 * count, side);
    auto h = block<float>(9 * count, [] { return 0.f; });
    std::vector<std::unique_ptr<int16_t[]>> labels;
    auto places = block<int64_t>(count, [] { return 0; });
    for (int i = 0; i < count; i++) {
        homography(&h[9 * i]);
        const int64_t pixels = static_cast<int64_t>(sizes[2 * i]) * sizes[2 * i + 1];
        labels.push_back(block<int16_t>(pixels, [] { return static_cast<int16_t>(between(-3, 3)); }));
        places[i] = static_cast<int64_t>(reinterpret_cast<uintptr_t>(labels.back().get()));
    }
    auto out = block<int16_t>(static_cast<int64_t>(count) * height * width, [] { return int16_t{99}; });
    auto seen = block<uint8_t>(static_cast<int64_t>(count) * height * width, [] { return uint8_t{99}; });
    MaskRequest request = {places.get(), sizes.get(),    count,
                           h.get(),      out.get(),      height,
                           width,        Label::int16,   static_cast<Padding>(between(0, 2)),
                           -4,           !between(0, 4), between(1, 3)};
    warp_masks(request);
    request.masks = nullptr, request.out = seen.get();
    warp_masks(request);
    for (int64_t i = 0; i < static_cast<int64_t>(count) * height * width; i++)
        if (out[i] < -4 || out[i] > 3 || seen[i] > 1) std::fprintf(stderr, "a label out of nothing\n"), std::exit(2);
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

void count(Tally& tally, const char* text, bool broken) {
    (text ? tally.refused : tally.served)++;
    if (broken && !text) std::fprintf(stderr, "a broken request was served\n"), std::exit(2);
}

void draws(Tally& tally) {
    const int keys = between(0, 5), segments = between(1, 3), rows = between(0, 6) + segments;
    bool broken = false;
    auto whole = block<Whole>(rows, [] { return Whole{}; });
    for (int i = 0, segment = 0; i < rows; i++) {
        const bool ends = rows - i <= segments - segment || (segment < segments - 1 && !between(0, 3));
        whole[i] = {ends ? Operation::end : static_cast<Operation>(between(0, 14)), between(0, 511), between(0, 1 << 30),
                    between(-1, 12), between(0, 12), ends ? segment++ : 0, {}};
    }
    if (!between(0, 9)) {
        whole[between(0, rows - 1)].segment = between(5, 1 << 30);
        whole[rows - 1].segment = between(5, 1 << 30), broken = true;
    }
    const float reach[] = {1, 3, 1e3f, 1e30f};
    const float most = reach[between(0, 3)];
    const auto any = [&] { return between(0, 99) ? static_cast<double>(real(-most, most)) : NAN; };
    auto floats = block<Real>(rows + 9, [&] {
        Real row;
        for (double& number : row.low) number = any();
        for (double& number : row.span) number = any();
        for (double& number : row.chance) number = real(0, 1);
        for (double& number : row.other) number = any();
        return row;
    });
    const int64_t reals = length(rows, broken);
    auto exact = block<Real>(reals, [&, i = 0]() mutable { return floats[i++ % (rows + 9)]; });
    auto [size_numbers, sizes] = buffer<double>(length(2 * keys, broken), [] { return double(between(1, 500)); });
    auto [key_numbers, hashes] = buffer<uint64_t>(keys, [] { return (uint64_t{engine()} << 32) | engine(); });
    const auto out = [&](int64_t right) { return buffer<double>(length(right, broken), [] { return -1.0; }); };
    auto matrix = out(9 * keys), logit = out(12 * segments * keys), hue = out(segments * keys);
    auto table = out(256 * segments * keys), colour = out(12 * segments * keys), erase = out(4 * segments * keys);
    const auto some = [&](const Block<double>& numbers) { return broken || between(0, 2) ? numbers : Block<double>{}; };
    const Drawing drawing = {{whole.get(), rows}, {exact.get(), reals}, constant(sizes), constant(hashes),
                             static_cast<uint32_t>(engine()), static_cast<uint32_t>(engine()), double(between(0, 9)),
                             double(between(1, 9)), matrix.second, some(logit.second), some(hue.second),
                             some(table.second), some(colour.second), some(erase.second)};
    count(tally, draw(drawing), broken);
}

void numbers(Tally& tally) {
    bool broken = false;
    const int64_t words = between(0, 9) ? 4 * between(0, 30) : between(0, 99), there = length(words, broken);
    const auto random = [] { return static_cast<uint32_t>(engine()); };
    auto [counter_words, counters] = buffer<uint32_t>(words, random);
    auto [out_words, out] = buffer<uint32_t>(there, random);
    count(tally, philox(constant(counters), random(), random(), out), broken || words % 4);
}

void copies() {
    const int64_t bytes = between(0, 3000), ahead = between(0, 70);
    auto source = block<uint8_t>(bytes + ahead, [] { return static_cast<uint8_t>(between(0, 255)); });
    auto target = block<uint8_t>(bytes, [] { return uint8_t{0}; });
    copy_past_caches(target.get(), source.get() + ahead, static_cast<size_t>(bytes));
    if (bytes && std::memcmp(target.get(), source.get() + ahead, static_cast<size_t>(bytes)))
        std::fprintf(stderr, "bytes were not copied\n"), std::exit(2);
}

}  // namespace

int main(int, char** arguments) {
    const int cases = std::atoi(arguments[1]);
    engine.seed(static_cast<unsigned>(std::atoi(arguments[2])));
    Tally warps, drawings;
    for (int i = 0; i < cases; i++) {
        one(warps), masks();
        for (int k = 0; k < 10; k++) draws(drawings), numbers(drawings), copies();
    }
    std::printf("served %ld refused %ld served %ld refused %ld\n", warps.served, warps.refused, drawings.served,
                drawings.refused);
}
