package main

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/go-kratos/kratos/v3/middleware"
	"github.com/go-kratos/kratos/v3/transport"
	kgrpc "github.com/go-kratos/kratos/v3/transport/grpc"
)

func quiet() {
	otel.SetTracerProvider(sdktrace.NewTracerProvider())
	slog.SetDefault(slog.New(slog.DiscardHandler))
}

func dial(ctx context.Context, options ...kgrpc.ClientOption) (*grpc.ClientConn, error) {
	return kgrpc.NewClient(ctx, options...)
}

// v3 has tracing in a module of its own; this is what it does on the wire.
func traced(kind trace.SpanKind, of func(context.Context) (transport.Transporter, bool), carry func(context.Context, propagation.TextMapCarrier) context.Context) middleware.Middleware {
	return func(handler middleware.Handler) middleware.Handler {
		return func(ctx context.Context, req any) (any, error) {
			info, ok := of(ctx)
			if !ok {
				return handler(ctx, req)
			}
			if kind == trace.SpanKindServer {
				ctx = carry(ctx, info.RequestHeader())
			}
			ctx, span := otel.Tracer("kratos").Start(ctx, info.Operation(), trace.WithSpanKind(kind))
			defer span.End()
			if kind == trace.SpanKindClient {
				ctx = carry(ctx, info.RequestHeader())
			}
			return handler(ctx, req)
		}
	}
}

func serverTracing() middleware.Middleware {
	return traced(trace.SpanKindServer, transport.FromServerContext, func(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
		return propagation.TraceContext{}.Extract(ctx, carrier)
	})
}

func clientTracing() middleware.Middleware {
	return traced(trace.SpanKindClient, transport.FromClientContext, func(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
		propagation.TraceContext{}.Inject(ctx, carrier)
		return ctx
	})
}
