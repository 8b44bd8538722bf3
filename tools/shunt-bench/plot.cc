// SPDX-License-Identifier: Apache-2.0
#include "tools/shunt-bench/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace shunt::bench {
namespace {

constexpr double kWidth = 760, kHeight = 420;
constexpr double kLeft = 60, kRight = 180, kTop = 40, kBottom = 50;  // margins
constexpr std::array kColours = {"#1b6ca8", "#c8553d", "#588157", "#8e6c8a", "#b08900"};

class Axes {
 public:
  explicit Axes(const std::vector<Curve>& curves) {
    for (const Curve& curve : curves) {
      for (const auto& [x, y] : curve.points) {
        max_x_ = std::max(max_x_, x);
        max_y_ = std::max(max_y_, y);
      }
    }
    step_y_ = max_y_ > 200 ? 50 : max_y_ > 80 ? 20 : 10;
    max_y_ = std::ceil(max_y_ * 1.05 / step_y_) * step_y_;
  }
  double X(double flows) const {
    return kLeft + (kWidth - kLeft - kRight) * std::log10(std::max(flows, 1.0)) / std::log10(max_x_);
  }
  double Y(double value) const {
    return kHeight - kBottom - (kHeight - kTop - kBottom) * std::max(value, 0.0) / max_y_;
  }
  double max_x() const { return max_x_; }

  std::string Draw(std::string_view unit) const {
    std::string out;
    for (double y = 0; y <= max_y_; y += step_y_) {
      out += fmt::format("<line x1='{}' y1='{:.1f}' x2='{}' y2='{:.1f}' stroke='#ddd'/>\n", kLeft, Y(y),
                         kWidth - kRight, Y(y));
      out += fmt::format("<text x='{}' y='{:.1f}' text-anchor='end'>{:.0f}</text>\n", kLeft - 6, Y(y) + 4, y);
    }
    for (double x = 1; x <= max_x_; x *= 10) {
      out += fmt::format("<text x='{:.1f}' y='{}' text-anchor='middle'>{}</text>\n", X(x), kHeight - kBottom + 18,
                         x >= 1e6   ? fmt::format("{:.0f}M", x / 1e6)
                         : x >= 1e3 ? fmt::format("{:.0f}k", x / 1e3)
                                    : fmt::format("{:.0f}", x));
    }
    out += fmt::format("<text x='{:.1f}' y='{}' text-anchor='middle'>flows</text>\n", (kLeft + kWidth - kRight) / 2,
                       kHeight - 12);
    out += fmt::format("<text x='{}' y='{}'>{}</text>\n", kLeft - 40, kTop - 10, unit);
    return out;
  }

 private:
  double max_x_ = 10, max_y_ = 1, step_y_ = 10;
};

std::string DrawCurve(const Curve& curve, const Axes& axes, const char* colour) {
  std::string path;
  std::string out;
  for (const auto& [x, y] : curve.points) {
    path += fmt::format("{}{:.1f} {:.1f} ", path.empty() ? "M" : "L", axes.X(x), axes.Y(y));
    if (curve.points.size() > 1) {
      out += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='3' fill='{}'/>\n", axes.X(x), axes.Y(y), colour);
    }
  }
  const auto [last_x, last_y] = curve.points.back();
  double end_x = axes.X(last_x);
  if (curve.points.size() == 1) {
    end_x = axes.X(axes.max_x());
    path = fmt::format("M{:.1f} {:.1f} L{:.1f} {:.1f}", axes.X(1), axes.Y(last_y), end_x, axes.Y(last_y));
  }
  out += fmt::format("<path d='{}' fill='none' stroke='{}' stroke-width='2'{}/>\n", path, colour,
                     curve.points.size() == 1 ? " stroke-dasharray='5 4'" : "");
  out += fmt::format("<text x='{:.1f}' y='{:.1f}' fill='{}'>{}</text>\n", end_x + 8, axes.Y(last_y) + 4, colour,
                     curve.name);
  return out;
}

}  // namespace

std::string DrawSvg(std::string_view title, std::string_view unit, const std::vector<Curve>& curves) {
  const Axes axes(curves);
  std::string out = fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{0}' height='{1}' viewBox='0 0 {0} {1}' font-family='sans-serif' "
      "font-size='12'>\n<rect width='{0}' height='{1}' fill='white'/>\n<text x='{2}' y='18' "
      "font-size='14'>{3}</text>\n",
      kWidth, kHeight, kLeft, title);
  out += axes.Draw(unit);
  for (size_t i = 0; i < curves.size(); ++i) out += DrawCurve(curves[i], axes, kColours[i % kColours.size()]);
  return out + "</svg>\n";
}

}  // namespace shunt::bench
